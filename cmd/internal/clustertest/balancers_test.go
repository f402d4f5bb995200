package clustertest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

var clusterCases = []clusterCase{
	powerLoss,
	powerLoss.with("hash"),
	added,
	added.with("hash"),
	withdrawn,
	busy,
	farmcKilled,
	birdKilled,
	rulesFlushed,
	rulesFlushed.unfilteredWith(10),
	rulesFlushedSlowly,
	backendDrains,
	backendAdded,
}

// powerLoss: the router's daemon misses the BFD packets of a balancer, three of them 100 ms apart. The routes are gone
// after 0.5 s at most: 25 datagrams of a stream, and those in the moment that the daemon needs.
var powerLoss = clusterCase{name: "power-loss", control: 40, gap: 25, change: func(s *site) {
	began := time.Now()
	s.powerOff(s.balancers[0])
	s.awaitBalancers(2)
	s.t.Logf("routes gone after %s", time.Since(began).Round(10*time.Millisecond))
}}

// added: connections move to a balancer that has never seen them.
var added = clusterCase{name: "added", balancers: 2, control: 40, change: func(s *site) {
	s.powerOn(s.balancers[2])
	s.awaitBalancers(3)
}}

// withdrawn: the commands of farmc-cluster(7) for the end of a machine. No datagram is lost.
var withdrawn = clusterCase{name: "withdrawn", control: 30, change: func(s *site) {
	b := s.balancers[0]
	s.run(b.Host, s.farmc, "withdraw", "--state-dir", s.state(b))
	s.awaitBalancers(2)
	time.Sleep(time.Second)
	s.powerOff(b)
}}

// busy: a program of the operator withdraws a balancer that is short of processor time, and announces it again later.
// The machine of the test is always busy, so the program reads another file than /proc/pressure/cpu.
var busy = clusterCase{name: "busy", control: 30, patient: true, change: func(s *site) {
	b, pressure := s.balancers[0], filepath.Join(s.dir, "pressure")
	write := func(share string) { s.writeText(pressure, "some avg10="+share+" avg60=0.00 avg300=0.00 total=1\n") }
	write("90.00")
	s.start(b.Host, "sh", "-c", withdrawIfBusy, pressure, s.farmc, s.state(b))
	s.awaitBalancers(2)
	time.Sleep(time.Second)
	write("3.00")
	s.awaitBalancers(3)
}}

// withdrawIfBusy is the program. Its name is the file.
const withdrawIfBusy = `
	farmc() { "$1" "$3" --state-dir "$2"; }
	while sleep 0.1; do
		if grep -q '^some avg10=[5-9].\.' "$0" && [ -z "$withdrawn" ]; then
			farmc "$@" withdraw; withdrawn=1
		elif grep -q '^some avg10=.\.' "$0" && [ -n "$withdrawn" ]; then
			farmc "$@" announce; withdrawn=
		fi
	done`

// farmcKilled: routes and rules stay without farmc.
var farmcKilled = clusterCase{name: "farmc-killed", patient: true, unmoved: true, change: func(s *site) {
	for _, b := range s.balancers {
		b.watch.kill()
	}
	time.Sleep(time.Second)
	s.awaitBalancers(3)
}}

// birdKilled: the kernel ends the sessions of a routing daemon that dies, without BFD.
var birdKilled = clusterCase{name: "bird-killed", control: 40, change: func(s *site) {
	s.balancers[0].routing.kill()
	s.awaitBalancers(2)
}}

// rulesFlushed: requests vanish until farmc watch restores the rules, and come again. In mode snat the kernel takes
// such packets for connections of its own. Replies of a stateless farm that reach a balancer before its routing rules
// pass unchanged, and the router drops them. If it forwards them, clients reset their connections: 0 to 5 of 200 in
// seventeen runs at a load of 6 to 12.
var rulesFlushed = clusterCase{name: "rules-flushed", gap: -1, patient: true, change: func(s *site) {
	var flushed sync.WaitGroup
	for _, b := range s.balancers {
		flushed.Go(func() { s.flush(b) })
	}
	flushed.Wait()
	for _, b := range s.balancers {
		s.awaitRestored(b)
		s.awaitNoDrops(b)
	}
	s.awaitBalancers(3)
}}

// rulesFlushedSlowly: one balancer restores its rules in 3 s. Replies of backends that reach it are dropped as soon as
// its guard is there, so connections that are silent until then stay, though the router forwards such replies.
var rulesFlushedSlowly = clusterCase{name: "rules-flushed-slowly", unfiltered: true, stateless: 10, gap: -1,
	patient: true, change: func(s *site) {
		b := s.balancers[0]
		b.watch.kill()
		s.startWatch(b, "--nft", s.slowNft())
		s.await(b.watch, "3 farms")
		silent := s.openSilent(100)
		s.flush(b)
		s.awaitGuard(b)
		silent.start()
		s.awaitRestored(b)
		s.awaitBalancers(3)
		time.Sleep(after)
		silent.stop()
		got := silent.count(stateless, "tcp")
		s.t.Logf("silent until the guard: %s", got)
		if got.lost > 0 {
			s.t.Errorf("%d connections are lost in spite of the guard", got.lost)
		}
	}}

// openSilent opens n connections to the stateless farm in each family, which exchange nothing until start.
func (s *site) openSilent(n int) *flows {
	s.t.Helper()
	s.openings++
	fs := &flows{stopped: make(chan struct{})}
	must(s.t, errors.Join(fs.open(s, n, "tcp4", stateless), fs.open(s, n, "tcp6", stateless)))
	return fs
}

// awaitGuard waits until a balancer drops replies of backends, and has no other rules.
func (s *site) awaitGuard(b *balancer) {
	s.t.Helper()
	s.retry("a guard", func() error {
		rules, err := b.Run(s.t.Context(), "", "nft", "list", "table", "inet", "farmc")
		switch {
		case err != nil:
			return err
		case !strings.Contains(rules, "chain stateless-unrewritten") || strings.Contains(rules, "hook prerouting"):
			return errors.New(rules)
		}
		return nil
	})
}

// flush removes the rules of a balancer.
func (s *site) flush(b *balancer) { s.run(b.Host, "nice", "-n", "-15", "nft", "flush", "ruleset") }

// awaitRestored waits until farmc watch has restored the rules after a flush.
func (s *site) awaitRestored(b *balancer) {
	s.t.Helper()
	s.await(b.watch, "table inet farmc is gone")
	s.await(b.watch, "the rules were changed: 3 farms loaded")
}

// awaitNoDrops waits until a balancer has no routing rule that drops replies.
func (s *site) awaitNoDrops(b *balancer) {
	s.t.Helper()
	s.retry("no routing rule that drops replies", func() error {
		for _, family := range []string{"-4", "-6"} {
			if rules := s.run(b.Host, "ip", family, "rule", "show", "pref", "999"); rules != "" {
				return errors.New(rules)
			}
		}
		return nil
	})
}

// slowNft makes an nft that waits before it loads a long script.
func (s *site) slowNft() string {
	file := filepath.Join(s.dir, "slow-nft")
	const text = "#!/bin/sh\nscript=$(mktemp)\ncat > $script\n[ $(wc -c < $script) -lt 100000 ] || sleep 3\n" +
		"nft -f $script\nstatus=$?\nrm $script\nexit $status\n"
	must(s.t, os.WriteFile(file, []byte(text), 0o755))
	return file
}

const (
	remember = "persistence = { on = [\"source-address\", \"source-port\"], timeout = \"5m\" }\n"
	silence  = 3 * time.Second // longer than connections are silent
	skew     = 4 * time.Second // between the changes of two balancers
)

// backendDrains: with persistence on before, connections stay with the backend, and with all others.
var backendDrains = clusterCase{name: "backend-drains", patient: true, unmoved: true, change: func(s *site) {
	s.rememberClients()
	s.changeBackends("b1", "b2", "b3 drain")
}}

// backendAdded: a backend is known to all balancers before it takes connections.
var backendAdded = clusterCase{name: "backend-added", backends: []string{"b1", "b2"}, patient: true, unmoved: true,
	change: func(s *site) {
		s.rememberClients()
		s.changeBackends("b1", "b2", "b3 down")
		s.changeBackends("b1", "b2", "b3")
	}}

// rememberClients switches persistence on, as a drop-in, and waits until each connection has sent a packet.
func (s *site) rememberClients() {
	for _, b := range s.balancers {
		for _, m := range []mode{dsr, stateless} {
			s.writeFile(b, m.name+".toml.d/persistence.toml", remember)
		}
		s.awaitLoad(b)
	}
	time.Sleep(silence)
}

// changeBackends gives the farms without connection tracking other backends, on one balancer after the other.
func (s *site) changeBackends(backends ...string) {
	for i, b := range s.balancers {
		if i > 0 {
			time.Sleep(skew)
		}
		for _, m := range []mode{dsr, stateless} {
			s.writeFarm(b, m, backends...)
		}
		s.awaitLoad(b)
	}
}

package clustertest

import (
	"sync"
	"time"
)

var clusterCases = []clusterCase{
	powerLoss,
	powerLoss.with("hash"),
	added,
	added.with("hash"),
	withdrawn,
	farmcKilled,
	birdKilled,
	rulesFlushed,
	backendDrains,
	backendAdded,
}

// powerLoss: the router's daemon misses the BFD packets of a balancer.
var powerLoss = clusterCase{name: "power-loss", control: 40, change: func(s *site) {
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

// withdrawn: the commands of farmc-cluster(7) for the end of a machine.
var withdrawn = clusterCase{name: "withdrawn", control: 30, change: func(s *site) {
	b := s.balancers[0]
	s.run(b.Host, s.farmc, "withdraw", "--state-dir", s.state(b))
	s.awaitBalancers(2)
	time.Sleep(time.Second)
	s.powerOff(b)
}}

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

// rulesFlushed: requests vanish until farmc watch restores the rules, and come again. Replies of a stateless farm that
// reach a balancer without rules pass unchanged, and clients reset their connections; the number has no bound, because
// it grows with the time of the load. In mode snat the kernel takes such packets for connections of its own.
var rulesFlushed = clusterCase{name: "rules-flushed", stateless: all, patient: true, change: func(s *site) {
	var flushed sync.WaitGroup
	for _, b := range s.balancers {
		flushed.Go(func() { s.run(b.Host, "nft", "flush", "ruleset") })
	}
	flushed.Wait()
	for _, b := range s.balancers {
		s.await(b.watch, "table inet farmc is gone")
		s.await(b.watch, "the rules were changed: 3 farms loaded")
	}
	s.awaitBalancers(3)
}}

// all is no bound.
const all = 1 << 30

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

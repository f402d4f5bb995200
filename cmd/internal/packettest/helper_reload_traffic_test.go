package packettest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

// loadChanges loads as apply does.
func loadChanges(s *testbed, f farms) error { return f.do(s) }

// loadAll loads the complete script, as a pipeline does.
func loadAll(s *testbed, f farms) error {
	s.engine.Dirs = []farm.Dir{{Path: "farms.d", FS: f.files()}}
	return pipeScript.do(s)
}

type trafficPlan struct{ reloads, clients, holders int }

// A traffic is a number of clients and the results of their connections.
type traffic struct {
	*testbed
	plan    trafficPlan
	random  *rand.Rand
	ended   chan struct{}
	running sync.WaitGroup

	opened, failed, broken atomic.Int64
	took                   time.Duration
	once                   sync.Once
	first                  error
}

func newTraffic(t *testing.T, plan trafficPlan) *traffic {
	c := &traffic{testbed: newTestbed(t, netlab.Options{}), plan: plan, random: rand.New(rand.NewPCG(1, 2)),
		ended: make(chan struct{})}
	// connection tracking has room for some 65,000 connections in a small machine, and many end here
	must(t, c.Balancer.Sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "1"))
	return c
}

// trafficServices are the services of the farms web, in mode snat, and shop, in mode dnat.
const trafficServices = "192.0.2.1:80 [2001:db8::1]:80 192.0.2.2:80 [2001:db8::2]:80"

// play reloads again and again while the clients run.
func (c *traffic) play(load func(*testbed, farms) error) {
	c.t.Helper()
	state := changingFarms{web: []int{1, 1, 1}, shop: []int{1, 1, 1}, schedulers: []string{"random", "random"}}
	must(c.t, load(c.testbed, state.farms()))
	c.start()
	began := time.Now()
	for range c.plan.reloads {
		state.change(c.random)
		must(c.t, load(c.testbed, state.farms()))
	}
	c.took = time.Since(began)
	c.stop()
}

// start starts the clients, which run until stop.
func (c *traffic) start() {
	c.t.Helper()
	services := c.targets("", "tcp", trafficServices)
	for i := range c.plan.holders {
		must(c.t, c.hold(services[i%len(services)]))
	}
	for i := range c.plan.clients {
		c.running.Go(func() { c.openConnections(services[i%len(services)].to) })
	}
}

func (c *traffic) stop() {
	close(c.ended)
	c.running.Wait()
}

// betweenRequests is the pause of a client. Clients without one would take all processors from farmc and nft.
const betweenRequests = 10 * time.Millisecond

// openConnections opens one connection after the other.
func (c *traffic) openConnections(to netip.AddrPort) {
	clients := c.clients(to.Addr())
	for n := 0; !c.stopped(); n++ {
		time.Sleep(betweenRequests)
		c.opened.Add(1)
		if _, err := c.Client.Ask(network(to), clients[n%len(clients)], to, answerTimeout); err != nil {
			c.failed.Add(1)
			c.once.Do(func() { c.first = fmt.Errorf("a connection to %v: %w", to, err) })
		}
	}
}

// hold sends data over one connection until the end.
func (c *traffic) hold(q target) error {
	conn, err := q.dial(c.newClient(q.from, q.to.Addr()))
	if err != nil {
		return err
	}
	c.running.Go(func() {
		defer conn.Close()
		for !c.stopped() {
			if err := (connection{conn, q}).echo([]byte(time.Now().String())); err != nil {
				c.broken.Add(1)
				c.once.Do(func() { c.first = fmt.Errorf("a connection that was held: %w", q.wrap(err)) })
				return
			}
			time.Sleep(betweenRequests)
		}
	})
	return nil
}

func (c *traffic) stopped() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func network(to netip.AddrPort) string {
	if to.Addr().Is6() {
		return "tcp6"
	}
	return "tcp4"
}

// changingFarms are the weights of three backends of two farms, 0 for a backend that does not exist.
type changingFarms struct {
	web, shop  []int
	schedulers []string
	others     int
}

// change makes one change: a weight, a backend more or less, another scheduler, a farm more or less.
func (f *changingFarms) change(random *rand.Rand) {
	weights := [][]int{f.web, f.shop}[random.IntN(2)]
	at := random.IntN(3)
	switch random.IntN(6) {
	case 0, 1:
		weights[at] = 1 + random.IntN(5)
	case 2:
		if weights[(at+1)%3]+weights[(at+2)%3] > 0 {
			weights[at] = 0
		}
	case 3:
		if weights[at] == 0 {
			weights[at] = 1 + random.IntN(5)
		}
	case 4:
		f.schedulers[random.IntN(2)] = []string{"random", "round-robin", "hash", "maglev",
			"symmetric-hash"}[random.IntN(5)]
	case 5:
		f.others = random.IntN(5)
	}
}

func (f *changingFarms) farms() farms {
	out := farms{
		"web":  trafficFarm("snat", 1, f.schedulers[0], f.web),
		"shop": trafficFarm("dnat", 2, f.schedulers[1], f.shop),
	}
	for n := range f.others {
		out[fmt.Sprint("other-", n)] = trafficFarm("snat", 10+n, "random", []int{1, n, 1})
	}
	return out
}

func trafficFarm(mode string, n int, scheduler string, weights []int) string {
	text := fmt.Sprintf("mode = %q\nscheduler = %q\nlisten = [\"192.0.2.%d:80\", \"[2001:db8::%d]:80\"]\n", mode,
		scheduler, n, n)
	for i, weight := range weights {
		if weight > 0 {
			text += fmt.Sprintf("[backends.b%d]\naddress = [\"10.2.0.1%d\", \"fd00:2::1%d\"]\nport = 808%d\n"+
				"weight = %d\n", i+1, i+1, i+1, i+1, weight)
		}
	}
	return text
}

// A killedWatch is a farmc watch that is killed again and again.
type killedWatch struct {
	*traffic
	program, root    string
	state            changingFarms
	changes, loading int
}

func (k *killedWatch) args(verb string) []string {
	return []string{verb, "--quiet", "--dir", filepath.Join(k.root, "farms.d"), "--state-dir",
		filepath.Join(k.root, "state")}
}

// run runs farmc on the balancer until it ends.
func (k *killedWatch) run(verb string) {
	k.t.Helper()
	if out, err := k.Balancer.Run(k.ctx, "", k.program, k.args(verb)...); err != nil {
		k.t.Fatalf("farmc %s: %v\n%s", verb, err, out)
	}
}

// changeFarms replaces all files at once with a symbolic link, as Kubernetes updates a ConfigMap.
func (k *killedWatch) changeFarms() {
	k.t.Helper()
	k.changes++
	dir, link := filepath.Join(k.root, fmt.Sprint("farms", k.changes)), filepath.Join(k.root, "farms.d")
	must(k.t, os.Mkdir(dir, 0o755))
	for name, text := range k.state.farms() {
		must(k.t, writeFile(filepath.Join(dir, name+".toml"), text))
	}
	must(k.t, errors.Join(os.Symlink(dir, link+".new"), os.Rename(link+".new", link)))
}

// runOnce starts farmc watch, changes farms, and kills it.
func (k *killedWatch) runOnce() {
	k.t.Helper()
	w := startFarmc(k.t, k.testbed, k.program, k.args("watch")...)
	end := time.After(time.Duration(k.random.IntN(700)) * time.Millisecond)
	for alive := true; alive; {
		select {
		case <-end:
			alive = false
		case <-time.After(time.Duration(k.random.IntN(300)) * time.Millisecond):
			k.state.change(k.random)
			k.changeFarms()
		}
	}
	w.Process.Kill()
	w.Wait()
	if left, _ := filepath.Glob(filepath.Join(k.root, "state", "*.tmp")); len(left) > 0 {
		k.loading++
	}
	if said := w.said.String(); said != "" {
		k.t.Errorf("farmc watch said\n%s", said)
	}
}

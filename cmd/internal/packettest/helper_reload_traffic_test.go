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
	"farmc/compiler"
)

// farmsOnly loads as apply does.
func farmsOnly(s *stage, f farms) error { return f.do(s) }

// complete loads the complete script, as a pipeline does.
func complete(s *stage, f farms) error {
	s.engine.Dirs = []compiler.Dir{{Path: "farms.d", FS: f.files()}}
	return pipe.do(s)
}

type rushPlan struct{ reloads, clients, holders int }

// A rush is what happens to many clients.
type rush struct {
	*stage
	plan   rushPlan
	random *rand.Rand
	ended  chan struct{}
	busy   sync.WaitGroup

	opened, failed, cut atomic.Int64
	took                time.Duration
	once                sync.Once
	first               error
}

func newRush(t *testing.T, plan rushPlan) *rush {
	c := &rush{stage: newStage(t, netlab.Options{}), plan: plan, random: rand.New(rand.NewPCG(1, 2)), ended: make(chan struct{})}
	// many connections end, and connection tracking has room for some 65,000 in a small machine
	must(t, c.Balancer.Sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "1"))
	return c
}

// rushServices are those of the farms web, in mode snat, and shop, in mode dnat.
const rushServices = "192.0.2.1:80 [2001:db8::1]:80 192.0.2.2:80 [2001:db8::2]:80"

// play reloads again and again while the clients do what it does.
func (c *rush) play(load func(*stage, farms) error) {
	c.t.Helper()
	state := rushFarms{web: []int{1, 1, 1}, shop: []int{1, 1, 1}, schedulers: []string{"random", "random"}}
	must(c.t, load(c.stage, state.farms()))
	c.open()
	began := time.Now()
	for range c.plan.reloads {
		state.change(c.random)
		must(c.t, load(c.stage, state.farms()))
	}
	c.took = time.Since(began)
	c.leave()
}

// open has the clients begin what they do until they leave.
func (c *rush) open() {
	c.t.Helper()
	services := c.questions("", "tcp", rushServices)
	for i := range c.plan.holders {
		must(c.t, c.hold(services[i%len(services)]))
	}
	for i := range c.plan.clients {
		c.busy.Go(func() { c.come(services[i%len(services)].to) })
	}
}

func (c *rush) leave() {
	close(c.ended)
	c.busy.Wait()
}

// come opens one connection after the other.
func (c *rush) come(to netip.AddrPort) {
	clients := c.clients(to.Addr())
	for n := 0; !c.over(); n++ {
		c.opened.Add(1)
		if _, err := c.Client.Ask(network(to), clients[n%len(clients)], to, patience); err != nil {
			c.failed.Add(1)
			c.once.Do(func() { c.first = fmt.Errorf("a connection to %v: %w", to, err) })
		}
	}
}

// hold has a connection carry something there and back until the end.
func (c *rush) hold(q question) error {
	conn, err := q.dial(c.speaker(q.from, q.to.Addr()))
	if err != nil {
		return err
	}
	c.busy.Go(func() {
		defer conn.Close()
		for !c.over() {
			if err := (connection{conn, q}).echo([]byte(time.Now().String())); err != nil {
				c.cut.Add(1)
				c.once.Do(func() { c.first = fmt.Errorf("a connection that was held: %w", q.blame(err)) })
				return
			}
		}
	})
	return nil
}

func (c *rush) over() bool {
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

// rushFarms are farms that change: the weights of three backends of two farms, 0 for one that isn't there.
type rushFarms struct {
	web, shop  []int
	schedulers []string
	others     int
}

// change makes one change: a weight, a backend more or less, another scheduler, a farm more or less.
func (f *rushFarms) change(random *rand.Rand) {
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
		f.schedulers[random.IntN(2)] = []string{"random", "round-robin", "hash", "maglev", "symmetric-hash"}[random.IntN(5)]
	case 5:
		f.others = random.IntN(5)
	}
}

func (f *rushFarms) farms() farms {
	out := farms{
		"web":  rushFarm("snat", 1, f.schedulers[0], f.web),
		"shop": rushFarm("dnat", 2, f.schedulers[1], f.shop),
	}
	for n := range f.others {
		out[fmt.Sprint("other-", n)] = rushFarm("snat", 10+n, "random", []int{1, n, 1})
	}
	return out
}

func rushFarm(mode string, n int, scheduler string, weights []int) string {
	text := fmt.Sprintf("mode = %q\nscheduler = %q\nlisten = [\"192.0.2.%d:80\", \"[2001:db8::%d]:80\"]\n", mode, scheduler, n, n)
	for i, weight := range weights {
		if weight > 0 {
			text += fmt.Sprintf("[backends.b%d]\naddress = [\"10.2.0.1%d\", \"fd00:2::1%d\"]\nport = 808%d\nweight = %d\n", i+1, i+1, i+1, i+1, weight)
		}
	}
	return text
}

// killed is a farmc watch that is killed again and again.
type killed struct {
	*rush
	program, root  string
	state          rushFarms
	turns, loading int
}

func (k *killed) args(verb string) []string {
	return []string{verb, "--quiet", "--dir", filepath.Join(k.root, "farms.d"), "--state-dir", filepath.Join(k.root, "state")}
}

// run runs farmc to its end on the balancer.
func (k *killed) run(verb string) {
	k.t.Helper()
	if out, err := k.Balancer.Run(k.ctx, "", k.program, k.args(verb)...); err != nil {
		k.t.Fatalf("farmc %s: %v\n%s", verb, err, out)
	}
}

// turn makes other farms lie there, all at once, as a ConfigMap is changed.
func (k *killed) turn() {
	k.t.Helper()
	k.turns++
	dir, link := filepath.Join(k.root, fmt.Sprint("farms", k.turns)), filepath.Join(k.root, "farms.d")
	must(k.t, os.Mkdir(dir, 0o755))
	for name, text := range k.state.farms() {
		must(k.t, write(filepath.Join(dir, name+".toml"), text))
	}
	must(k.t, errors.Join(os.Symlink(dir, link+".new"), os.Rename(link+".new", link)))
}

// live is a life of farmc watch: farms change, and then it is killed.
func (k *killed) live() {
	k.t.Helper()
	w := daemon(k.t, k.stage, k.program, k.args("watch")...)
	end := time.After(time.Duration(k.random.IntN(700)) * time.Millisecond)
	for alive := true; alive; {
		select {
		case <-end:
			alive = false
		case <-time.After(time.Duration(k.random.IntN(300)) * time.Millisecond):
			k.state.change(k.random)
			k.turn()
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

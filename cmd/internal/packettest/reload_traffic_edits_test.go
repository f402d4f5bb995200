package packettest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/compiler"
)

// TestRush reloads with traffic running: clients open short connections all the time, others hold long ones. None fails
// and none is cut, as the services that they use are served all along. STRESS=1 takes the numbers that are worth telling
// (make stress), and tells what loads of the complete script come to beside.
func TestRush(t *testing.T) {
	plan := rushPlan{reloads: 15, clients: 24, holders: 8}
	ways := map[string]func(s *stage, f farms) error{"only the changes": farmsOnly}
	if os.Getenv("STRESS") != "" {
		plan = rushPlan{reloads: 300, clients: 200, holders: 20}
		ways["the complete script"] = complete
	}
	for name, load := range ways {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			c := newRush(t, plan)
			c.play(load)
			t.Logf("%d reloads, %s each: %d connections opened, %d failed; of %d that were held %d were cut; %.1f connections a ms, %v for a reload",
				plan.reloads, name, c.opened.Load(), c.failed.Load(), plan.holders, c.cut.Load(), float64(c.opened.Load())/float64(c.took.Milliseconds()), c.took/time.Duration(plan.reloads))
			if c.opened.Load() < int64(plan.clients) {
				t.Errorf("only %d connections were opened", c.opened.Load())
			}
			if name == "only the changes" && (c.failed.Load() > 0 || c.cut.Load() > 0) {
				t.Errorf("the first failed as %v", c.first)
			}
		})
	}
}

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

package packettest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// TestSpread opens connections that last unequally long, and reports how many of them the busiest of four backends has,
// by scheduler: of farmc, and of IPVS where the kernel has it. It checks no value: make test-spread.
func TestSpread(t *testing.T) {
	if os.Getenv("FARMC_SPREAD") == "" {
		t.Skip("a measurement: FARMC_SPREAD=all")
	}
	program, hasIPVS := farmc(t), exec.Command("modprobe", "ip_vs_wlc").Run() == nil
	for name, serve := range map[string]func(*testing.T, *testbed){
		"farmc random": serveFarm(program, "random"), "farmc round-robin": serveFarm(program, "round-robin"),
		"farmc least-connections": serveFarm(program, "least-connections"),
		"IPVS rr":                 serveIPVS("rr"), "IPVS wlc": serveIPVS("wlc"),
	} {
		for _, w := range []spreadLoad{{"one slow backend", 5, 0}, {"one connection of ten lasts long", 1, 10}} {
			t.Run(name+", "+w.name, func(t *testing.T) {
				t.Parallel()
				if name[0] == 'I' && !hasIPVS {
					t.Skip("the kernel has no ip_vs")
				}
				s := newTestbed(t, netlab.Options{Backends: 4})
				must(t, s.shell("sysctl -qw net.ipv4.ip_forward=1")())
				serve(t, s)
				most, mean := w.measure(t, s)
				t.Logf("the busiest backend has %.2f times the mean, on average, and %.2f times at most", mean, most)
			})
		}
	}
}

// serveFarm has farmc watch balance by a scheduler.
func serveFarm(program, scheduler string) func(*testing.T, *testbed) {
	return func(t *testing.T, s *testbed) {
		dir := t.TempDir()
		text := "mode = 'dnat'\nlisten = '192.0.2.1:80'\nscheduler = '" + scheduler + "'\n"
		for i := range 4 {
			text += fmt.Sprintf("[backends.b%d]\naddress = '10.2.0.1%d'\n", i+1, i+1)
		}
		must(t, writeFile(filepath.Join(dir, "web.toml"), text))
		w := startFarmc(t, s, program, "watch", "--dir", dir, "--state-dir", t.TempDir())
		must(t, eventually{w.says("1 farm loaded")}.do(s))
	}
}

// serveIPVS has IPVS balance by a scheduler.
func serveIPVS(scheduler string) func(*testing.T, *testbed) {
	return func(t *testing.T, s *testbed) {
		rules := "ipvsadm -A -t 192.0.2.1:80 -s " + scheduler
		for i := range 4 {
			rules += fmt.Sprintf("\nipvsadm -a -t 192.0.2.1:80 -r 10.2.0.1%d:80 -m", i+1)
		}
		must(t, s.shell(rules)())
	}
}

// A spreadLoad is a load of connections, which last a second, or longer at random.
type spreadLoad struct {
	name string
	slow float64 // times as long at the first backend
	long float64 // times as long for one connection of ten; 0: none
}

// The load: so many connections a second for a time, of which the first part fills the backends.
const (
	spreadRate = 40
	spreadTime = 60 * time.Second
	spreadFill = 20 * time.Second
)

// measure gives the open connections of the busiest backend, in multiples of the mean: at most, and on average.
func (w spreadLoad) measure(t *testing.T, s *testbed) (most, mean float64) {
	random := rand.New(rand.NewPCG(1, 2))
	open, began, samples := make(map[string]int, 4), time.Now(), 0
	var mu sync.Mutex
	var connections sync.WaitGroup
	for next := began; next.Before(began.Add(spreadTime)); next = next.Add(time.Second / spreadRate) {
		time.Sleep(time.Until(next))
		lasts := 2 * random.ExpFloat64()
		if w.long > 0 && random.IntN(10) == 0 {
			lasts *= w.long
		}
		connections.Go(func() {
			if err := w.connect(s, open, &mu, lasts); err != nil {
				t.Error(err)
			}
		})
		if mu.Lock(); time.Since(began) > spreadFill {
			sum, busiest := 0, 0
			for _, n := range open {
				sum, busiest = sum+n, max(busiest, n)
			}
			times := 4 * float64(busiest) / float64(max(sum, 1))
			most, mean, samples = max(most, times), mean+times, samples+1
		}
		mu.Unlock()
	}
	connections.Wait()
	return most, mean / float64(samples)
}

// connect opens a connection for a time in seconds.
func (w spreadLoad) connect(s *testbed, open map[string]int, mu *sync.Mutex, lasts float64) error {
	q := s.targets("", "tcp", "192.0.2.1:80")[0]
	c, err := q.dial(s.newClient(q.from, q.to.Addr()))
	if err != nil {
		return err
	}
	defer c.Close()
	answer, err := netlab.ReadAnswer(c)
	if err != nil {
		return err
	}
	if answer.Backend == "b1" {
		lasts *= w.slow
	}
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		open[answer.Backend] += n
	}
	count(1)
	defer count(-1)
	time.Sleep(time.Duration(lasts * float64(time.Second)))
	return nil
}

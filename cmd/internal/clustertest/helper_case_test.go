package clustertest

import (
	"os"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// A clusterCase is a change of a site under traffic, and the bounds of the connections that are lost.
type clusterCase struct {
	name      string
	scheduler string   // maglev if empty
	balancers int      // with power at the beginning; 3 if zero
	backends  []string // of dsr and stateless at the beginning; three if nil
	change    func(s *site)
	dsr       int // at most so many lost
	stateless int
	control   int  // at least so many of 200 lost in mode snat
	gap       int  // at most so many datagrams of a stream lost in a row, 20 ms apart; -1: not limited
	patient   bool // BFD waits for 3 s, as a busy machine can be late; for cases in which no balancer dies
	unmoved   bool // no connection moves to another balancer, so mode snat loses none

	unfiltered bool // the router forwards replies of backends that no balancer has rewritten
}

// with gives the case with another scheduler.
func (c clusterCase) with(scheduler string) clusterCase {
	c.name, c.scheduler = c.name+"-"+scheduler, scheduler
	return c
}

// unfilteredWith gives the case with a router that forwards such replies, and a bound for stateless farms.
func (c clusterCase) unfilteredWith(stateless int) clusterCase {
	c.name, c.unfiltered, c.stateless = c.name+"-unfiltered", true, stateless
	return c
}

// before and after are the times of traffic before and after a change.
const (
	before = 1500 * time.Millisecond
	after  = 4 * time.Second
)

// onlyInTestCluster skips a test that takes minutes, except for make test-cluster.
func onlyInTestCluster(t *testing.T) {
	t.Helper()
	if os.Getenv("CLUSTER") == "" {
		t.Skip("takes minutes: make test-cluster")
	}
}

// run makes the change while n connections of each mode go on.
func (c clusterCase) run(t *testing.T, farmc string, n int) {
	s := newSite(t, farmc, c)
	for _, b := range s.balancers[:c.balancers] {
		s.powerOn(b)
	}
	s.awaitBalancers(c.balancers)
	var all *streams
	fs := s.flowsThrough(func(s *site) {
		all = s.openStreams(4)
		time.Sleep(before)
		c.change(s)
		time.Sleep(before)
		all.stop()
	}, n)
	c.check(t, fs, n)
	c.checkGaps(t, all)
}

// checkGaps compares the datagrams that streams have lost with the bound.
func (c clusterCase) checkGaps(t *testing.T, all *streams) {
	for _, m := range []mode{dsr, stateless} {
		got := all.gaps(m)
		t.Logf("%s: %s", m, got)
		if got.longest > c.gap && c.gap >= 0 {
			t.Errorf("%s: lost %d datagrams in a row, want at most %d", m, got.longest, c.gap)
		}
		if c.gap > 0 && got.lost == 0 {
			t.Errorf("%s: no datagram is lost, so no stream went through the balancer", m)
		}
	}
}

// flowsThrough makes a change while n connections of each mode go on.
func (s *site) flowsThrough(change func(*site), n int) *flows {
	s.t.Helper()
	fs, err := s.openFlows(n)
	must(s.t, err)
	time.Sleep(before)
	change(s)
	time.Sleep(after)
	fs.stop()
	return fs
}

// check compares the lost connections with the bounds.
func (c clusterCase) check(t *testing.T, fs *flows, n int) {
	for _, transport := range []string{"tcp", "udp"} {
		for m, most := range map[mode]int{dsr: c.dsr, stateless: c.stateless} {
			got := fs.count(m, transport)
			t.Logf("%s %s: %s", m, transport, got)
			if got.lost > most {
				t.Errorf("%s %s: %d lost, want at most %d", m, transport, got.lost, most)
			}
		}
	}
	control := fs.count(snat, "tcp")
	t.Logf("snat tcp: %s", control)
	if c.unmoved && control.lost > 0 {
		t.Errorf("mode snat lost %d: the change moved connections between balancers", control.lost)
	}
	if control.lost*200 < c.control*n {
		t.Errorf("the control lost %d of %d, want at least %d of 200: nothing was moved", control.lost, n, c.control)
	}
}

// withDefaults fills in the scheduler and the number of balancers.
func (c clusterCase) withDefaults() clusterCase {
	if c.scheduler == "" {
		c.scheduler = "maglev"
	}
	if c.balancers == 0 {
		c.balancers = 3
	}
	return c
}

package clustertest

import (
	"os"
	"testing"
	"time"
)

// frrCases are changes of the first balancer, which has FRR with the example, and so announces IPv4 alone.
var frrCases = []clusterCase{
	{name: "power-loss", scheduler: "maglev", control: 20, change: func(s *site) {
		s.powerOff(s.balancers[0])
		s.awaitFamily("-4", 2)
	}},
	{name: "bgpd-killed", scheduler: "maglev", control: 20, change: func(s *site) {
		s.balancers[0].routing.kill()
		s.awaitFamily("-4", 2)
	}},
	{name: "withdrawn", scheduler: "maglev", control: 20, change: func(s *site) {
		b, began := s.balancers[0], time.Now()
		s.run(b.Host, s.farmc, "withdraw", "--state-dir", s.state(b))
		s.awaitFamily("-4", 2)
		s.t.Logf("routes gone after %s", time.Since(began).Round(10*time.Millisecond))
		s.powerOff(b)
	}},
}

// TestFRR: connections that the router moves away from a balancer with FRR go on by balancers with BIRD.
func TestFRR(t *testing.T) {
	if os.Getenv("CLUSTER") == "" {
		t.Skip("takes a minute: make test-cluster")
	}
	farmc := buildFarmc(t)
	for _, c := range frrCases {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, farmc, c)
			s.powerOnFRR(s.balancers[0])
			s.powerOn(s.balancers[1])
			s.powerOn(s.balancers[2])
			s.awaitFamily("-4", 3)
			s.awaitFamily("-6", 2)
			fs, err := s.openFlows(200)
			must(t, err)
			time.Sleep(before)
			c.change(s)
			time.Sleep(after)
			fs.stop()
			c.check(t, fs, 200)
		})
	}
}

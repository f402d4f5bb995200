package clustertest

import (
	"testing"
	"time"
)

// frrCases are changes of the first balancer, which has FRR with the examples.
var frrCases = []clusterCase{
	{name: "power-loss", scheduler: "maglev", control: 20, change: func(s *site) {
		s.powerOff(s.balancers[0])
		s.awaitBalancers(2)
	}},
	{name: "bgpd-killed", scheduler: "maglev", control: 20, change: func(s *site) {
		s.balancers[0].routing.kill()
		s.awaitBalancers(2)
	}},
	{name: "withdrawn", scheduler: "maglev", control: 20, change: func(s *site) {
		b, began := s.balancers[0], time.Now()
		s.run(b.Host, s.farmc, "withdraw", "--state-dir", s.state(b))
		s.awaitBalancers(2)
		s.t.Logf("routes gone after %s", time.Since(began).Round(10*time.Millisecond))
		s.powerOff(b)
	}},
}

// TestFRR: connections that the router moves away from a balancer with FRR go on by balancers with BIRD.
func TestFRR(t *testing.T) {
	onlyInTestCluster(t)
	farmc := buildFarmc(t)
	for _, c := range frrCases {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, farmc, c)
			sockets := s.powerOnFRR(s.balancers[0])
			s.powerOn(s.balancers[1])
			s.powerOn(s.balancers[2])
			s.awaitBalancers(3)
			s.run(s.balancers[0].Host, "sh", "-c",
				`vtysh --vty_socket "$0" -c 'show running-config bgpd' | grep -x "  network $1"`, sockets, otherNetwork)
			fs := s.flowsThrough(c.change, 200)
			c.check(t, fs, 200)
		})
	}
}

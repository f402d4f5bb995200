package clustertest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// resilientCases are changes of the balancers behind a router that keeps flows with their next hop. In mode snat only
// connections of a balancer that dies are lost.
var resilientCases = []struct {
	name        string
	balancers   int // with routes at the beginning
	change      func(s *site)
	least, most int // of 200 connections of mode snat
}{
	{"power-loss", 3, func(s *site) {
		s.powerOff(s.balancers[2])
		s.spreadResiliently(s.balancers[:2])
	}, 20, 90},
	{"added", 2, addLast, 0, 0},
	{"backend-drains-and-added", 2, func(s *site) { // flows stay with the balancer that remembers them
		s.rememberClients()
		s.changeBackends("b1", "b2", "b3 drain")
		addLast(s)
	}, 0, 0},
}

// addLast adds routes by the third balancer.
func addLast(s *site) {
	s.spreadResiliently(s.balancers)
	time.Sleep(2 * time.Second)
}

// TestResilient: a router with resilient nexthop groups moves the connections of a balancer that dies, and no others.
func TestResilient(t *testing.T) {
	onlyInTestCluster(t)
	farmc := buildFarmc(t)
	for _, c := range resilientCases {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, farmc, clusterCase{scheduler: "maglev", patient: true})
			s.routing.kill() // the groups are the test's: BIRD 2.0.12 makes none
			for _, b := range s.balancers {
				s.powerOn(b)
				s.await(b.watch, "3 farms loaded")
			}
			s.spreadResiliently(s.balancers[:c.balancers])
			fs := s.flowsThrough(c.change, 200)
			clusterCase{}.check(t, fs, 200)
			if lost := fs.count(snat, "tcp").lost; lost < c.least || lost > c.most {
				t.Errorf("mode snat lost %d, want %d to %d", lost, c.least, c.most)
			}
		})
	}
}

// spreadResiliently routes services, and replies of backends, over balancers. Buckets move only if they are idle for
// 10 s, or if their balancer is gone.
func (s *site) spreadResiliently(over []*balancer) {
	s.t.Helper()
	for i, family := range []string{"-4", "-6"} {
		front, back := []string{"10.1.0.1", "fd00:1::1"}[i], []string{"10.2.0.", "fd00:2::"}[i]
		services := 1000 * (i + 1)
		s.spreadBy(services, over, func(b *balancer) []string {
			return []string{"via", front + fmt.Sprint(b.number), "dev", "eth1"}
		})
		s.spreadBy(services+100, over, func(b *balancer) []string {
			return []string{"via", back + fmt.Sprint(b.number+1), "dev", "eth2"}
		})
		for _, m := range modes {
			s.run(s.Router, "ip", family, "route", "replace", m.address("tcp"+family[1:]).String(), "nhid",
				fmt.Sprint(services))
		}
		s.run(s.Router, "ip", family, "route", "replace", "default", "table", "100", "nhid", fmt.Sprint(services+100))
	}
}

// spreadBy makes a resilient group with a next hop by each balancer.
func (s *site) spreadBy(group int, over []*balancer, by func(b *balancer) []string) {
	s.t.Helper()
	var ids []string
	for _, b := range over {
		id := fmt.Sprint(group + b.number)
		s.run(s.Router, "ip", append([]string{"nexthop", "replace", "id", id}, by(b)...)...)
		ids = append(ids, id)
	}
	s.run(s.Router, "ip", "nexthop", "replace", "id", fmt.Sprint(group), "group", strings.Join(ids, "/"),
		"type", "resilient", "buckets", "128", "idle_timer", "10")
}

package clustertest

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// TestEtcdShort makes 20 changes on three balancers without traffic, while mirrors and nodes of etcd are killed.
func TestEtcdShort(t *testing.T) {
	if testing.Short() {
		t.Skip("three nodes of etcd take seconds to find each other")
	}
	s := newMachines(t, buildFarmc(t), clusterCase{})
	r := newRollout(s)
	r.push(r.dir, farmsOfEtcd)
	for _, b := range s.balancers {
		r.mirror(b)
		s.startWatch(b)
	}
	r.awaitStatus(3)
	for i := range 20 {
		r.change()
		switch i {
		case 5:
			s.balancers[0].mirror.kill()
		case 10:
			r.mirror(s.balancers[0])
			r.nodes[0].kill()
		case 15:
			r.startNode(0)
		}
	}
	r.checkEnd()
}

// TestEtcd makes 1,000 changes by etcd on three balancers under traffic, or as many as CHANGES says.
func TestEtcd(t *testing.T) {
	onlyInTestCluster(t)
	const connections = 120
	changes := 1000
	if n, err := strconv.Atoi(os.Getenv("CHANGES")); err == nil {
		changes = n
	}
	began := time.Now()
	s := newSite(t, buildFarmc(t), clusterCase{scheduler: "maglev", patient: true})
	r := newRollout(s)
	r.writeTraffic(r.dir, "b1", "b2", "b3")
	r.push(r.dir, farmsOfEtcd)
	for _, b := range s.balancers {
		r.powerOn(b)
	}
	s.awaitBalancers(3)
	r.awaitStatus(3)

	// Changes of other farms, and machines that die, cost dsr and stateless no connection.
	fs := s.flowsThrough(func(*site) { r.changeUnderKills(changes * 96 / 100) }, connections)
	clusterCase{control: 40}.check(t, fs, connections)
	t.Logf("after %s", time.Since(began).Round(time.Second))
	// With persistence changes of backends cost none, either.
	for _, backends := range [][]string{{"b1", "b2", "b3 drain"}, {"b1", "b2"}, {"b1", "b2", "b3"}} {
		t.Log("with persistence, then backends ", backends)
		fs := s.flowsThrough(func(*site) { r.changeWithPersistence(backends...) }, connections)
		clusterCase{unmoved: true}.check(t, fs, connections)
		r.remember(false)
	}
	// Without it a backend that is removed costs its own connections, and few others.
	t.Log("without persistence, then without backend b3")
	fs = s.flowsThrough(func(*site) { r.changeTraffic("b1", "b2") }, connections)
	for _, m := range []mode{dsr, stateless} {
		lost, opened := fs.lostElsewhere(m, "b3")
		all := fs.count(m, "tcp")
		t.Logf("%s: %s; %d of %d with other backends", m, all, lost, opened)
		if lost*25 > opened || all.lost == lost {
			t.Errorf("%s: lost %d, and %d of %d with other backends: want some, and at most 1 of 25", m, all.lost,
				lost, opened)
		}
	}
	for r.changes < changes {
		r.change()
	}
	r.checkEnd()
	t.Logf("%d changes in %s", r.changes, time.Since(began).Round(time.Second))
}

package clustertest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestOutage: without etcd balancers keep their rules, and load the last ones after a restart. A new balancer loads and
// announces nothing until etcd is back. The log has the time of each change until it is loaded.
func TestOutage(t *testing.T) {
	onlyInTestCluster(t)
	r := newRollout(newMachines(t, buildFarmc(t), clusterCase{scheduler: "maglev"}))
	first, second, fresh := r.balancers[0], r.balancers[1], r.balancers[2]
	r.writeTraffic(r.dir, "b1", "b2", "b3")
	r.push(r.dir, farmsOfEtcd)
	for _, b := range []*balancer{first, second} {
		r.mirror(b)
		r.startWatch(b)
	}
	r.awaitStatus(2)
	r.putRevision("all nodes", first, second)

	// Two of three nodes are enough. One node takes no change.
	leader := r.leader()
	r.nodes[leader].kill()
	r.putRevision("without the leader", first, second)
	r.nodes[(leader+1)%3].kill()
	r.checkServed(first, second)
	r.nodes[(leader+2)%3].kill()
	r.checkServed(first, second)

	// A boot without etcd, and a new machine.
	first.mirror.kill()
	first.watch.kill()
	r.flushHost(first.Host)
	r.mirror(first)
	began := time.Now()
	r.startWatch(first)
	r.retryQuickly("the last farms are loaded", func() error { return r.served(first) })
	t.Logf("restart without etcd: loaded after %s", time.Since(began).Round(time.Millisecond))
	r.mirror(fresh)
	r.startWatch(fresh)
	r.await(fresh.watch, "no such file or directory")
	time.Sleep(2 * time.Second)
	r.checkServed(first, second)
	if r.announces(fresh) || r.served(fresh) == nil {
		t.Error("the new balancer serves without etcd")
	}
	for i := range r.nodes {
		r.startNode(i)
	}
	r.leader() // etcd answers
	began = time.Now()
	r.awaitServed(first, second, fresh)
	r.retryQuickly("the new balancer announces", func() error {
		if !r.announces(fresh) {
			return errors.New("no route")
		}
		return nil
	})
	t.Logf("new balancer: loaded %s after etcd", time.Since(began).Round(time.Millisecond))

	// The history that a balancer missed is compacted.
	must(t, r.Unplug(first.Host))
	r.putRevision("a balancer cut off", second, fresh)
	r.compact()
	must(t, r.PlugAgain(first.Host))
	began = time.Now()
	r.awaitServed(first)
	t.Logf("cut off while compacted: loaded %s after the link", time.Since(began).Round(time.Millisecond))

	// A faulty farm reaches all, past push. Only a revision after the compaction can come back.
	r.putRevision("all balancers", r.balancers...)
	r.awaitStatus(3)
	good := r.revisionOf(first)
	client := r.gateway()
	defer client.CloseIdleConnections()
	r.put(client, farmsOfEtcd, map[string]string{"dsr.toml": "mode = \"none\"\n"})
	r.retry("status shows the fault", func() error {
		if shown, _ := r.etcd("status"); strings.Count(shown, "dsr.toml: listen is missing") != 3 {
			return errors.New(shown)
		}
		return nil
	})
	r.checkServed(r.balancers...)
	_, err := r.etcd("rollback", "--prefix", farmsOfEtcd, "--to", good)
	must(t, err)
	r.awaitStatus(3)
	r.checkEnd()
}

// putRevision changes the other farms in one transaction, and waits until balancers have loaded them.
func (r *rollout) putRevision(when string, on ...*balancer) {
	r.t.Helper()
	client := r.gateway()
	defer client.CloseIdleConnections()
	r.changes++
	r.writeRevision()
	began := time.Now()
	r.put(client, farmsOfEtcd, r.otherFarms())
	put := time.Since(began)
	r.awaitServed(on...)
	r.t.Logf("%s: put %s, loaded by %d balancers %s later", when, put.Round(time.Millisecond), len(on),
		(time.Since(began) - put).Round(time.Millisecond))
}

// awaitServed waits until balancers have the rules of the last change.
func (r *rollout) awaitServed(on ...*balancer) {
	r.t.Helper()
	for _, b := range on {
		r.retryQuickly(b.Name+" has the rules of the last change", func() error { return r.served(b) })
	}
}

// checkServed fails the test if a balancer lacks the rules of the last change.
func (r *rollout) checkServed(on ...*balancer) {
	r.t.Helper()
	for _, b := range on {
		if err := r.served(b); err != nil || !r.announces(b) {
			r.t.Errorf("%s serves no longer: %v", b.Name, err)
		}
	}
}

// served returns an error if the kernel of a balancer lacks the rules of the last change.
func (r *rollout) served(b *balancer) error {
	rules, err := b.Run(r.t.Context(), "", "nft", "list", "table", "inet", "farmc")
	if err == nil && !strings.Contains(rules, fmt.Sprint(r.revision())) {
		err = fmt.Errorf("no revision %d", r.revision())
	}
	return err
}

// announces reports whether a balancer announces the address of the dsr farm.
func (s *site) announces(b *balancer) bool {
	routes, _ := b.Run(s.t.Context(), "", "ip", "route", "show", "table", "251") // an error without routes
	return strings.Contains(routes, dsr.address("tcp4").String())
}

// retryQuickly is retry with short pauses, for a step that is timed.
func (s *site) retryQuickly(what string, step func() error) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = step(); err == nil {
			return
		}
	}
	s.t.Fatalf("%s: %v", what, err)
}

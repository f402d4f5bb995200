package clustertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCanary: a farm that the canary machine refuses never reaches the other balancers, which go on loading good ones.
// No connection is lost on any of them, and none is moved.
func TestCanary(t *testing.T) {
	onlyInTestCluster(t)
	const connections = 120
	c := newCanary(newSite(t, buildFarmc(t), clusterCase{scheduler: "maglev", patient: true}))
	fs := c.flowsThrough(func(*site) { c.tryFarms() }, connections)
	clusterCase{unmoved: true}.check(t, fs, connections)
	c.loads.check(c.site)
}

// tryFarms pushes good farms and bad ones to the canary machine, and promotes them.
func (c *canary) tryFarms() {
	c.t.Helper()
	first, others := c.balancers[0], c.balancers[1:]

	// The canary machine loads a revision before all others.
	c.pushGood(canaryOfEtcd, 20002)
	c.awaitLoads(20002, first)
	c.awaitLoads(20001, others...)
	c.promote("")
	c.awaitLoads(20002, others...)
	c.awaitStatus(4)
	good := c.revisionOf(others[0])

	// push refuses a farm that is faulty by itself.
	c.write(map[string]string{"good.toml": "listen = \"x\"\n"})
	if _, err := c.etcd("push", c.dir, "--prefix", canaryOfEtcd, "--farmc", c.farmc); !says(err, "nothing is pushed") {
		c.t.Errorf("push of a faulty farm: %v", err)
	}

	// A farm that conflicts with one of the canary machine stays there, and the good one beside it is loaded.
	c.write(map[string]string{"good.toml": farm("192.0.2.8:80", 20003), "bad.toml": farm("192.0.2.9:80", 20999)})
	c.push(c.dir, canaryOfEtcd)
	c.awaitLoads(20003, first)
	const fault = "192.0.2.9:80/tcp is already used by farm bad"
	c.awaitFault(first, fault)
	c.promote(first.Name + ": ")
	c.promote(fault)

	// The others load the farms that are pushed meanwhile.
	c.pushGood(farmsOfEtcd, 20004)
	c.awaitLoads(20004, others...)
	c.awaitFault(first, fault)
	for _, b := range others {
		if _, err := os.Stat(filepath.Join(c.farms(b), "bad.toml")); err == nil {
			c.t.Errorf("%s has the faulty farm", b.Name)
		}
	}

	// Once it is corrected, it is promoted. A rollback brings an earlier revision back.
	c.pushGood(canaryOfEtcd, 20005)
	c.awaitLoads(20005, first)
	c.promote("")
	c.awaitLoads(20005, others...)
	must(c.t, second(c.etcd("rollback", "--prefix", farmsOfEtcd, "--to", good)))
	c.awaitLoads(20002, others...)
	c.awaitStatus(4)
}

// canaryOfEtcd is the prefix that the first balancer alone mirrors.
const canaryOfEtcd = "/farmc/canary/"

// A canary is a site of which the first balancer mirrors a second prefix, too, and has a farm of its own.
type canary struct {
	*store
	dir   string // the files that are pushed
	loads *loads
}

// newCanary starts farmc watch and mirrors, the first ones as farmc-etcd(1) describes a canary machine.
func newCanary(s *site) *canary {
	s.t.Helper()
	c := &canary{store: newStore(s), dir: filepath.Join(s.dir, "pushed"), loads: s.followLoads()}
	c.pushGood(farmsOfEtcd, 20001)
	first := s.balancers[0]
	local, tried := filepath.Join(s.dir, "local"), filepath.Join(s.dir, "canary")
	s.writeText(filepath.Join(local, "local.toml"), farm("192.0.2.9:80", 80))
	all := []string{s.farms(first), local, tried}
	c.startMirror(first, canaryOfEtcd, tried, all, "--may-be-empty")
	c.startMirror(first, farmsOfEtcd, s.farms(first), all)
	s.startWatch(first, "--isolate", "--dir", local, "--dir", tried)
	for _, b := range s.balancers[1:] {
		c.startMirror(b, farmsOfEtcd, s.farms(b), []string{s.farms(b)})
		s.startWatch(b, "--isolate")
	}
	c.awaitStatus(4)
	for _, b := range s.balancers {
		s.startBird(b)
	}
	s.awaitBalancers(3)
	return c
}

// farm is a farm whose backend has a port.
func farm(listen string, port int) string {
	const text = "mode = \"dnat\"\nlisten = %q\n[backends.b1]\naddress = \"10.2.0.11\"\nport = %d\n"
	return fmt.Sprintf(text, listen, port)
}

// write makes the directory for the next push have these files, and the farms with traffic.
func (c *canary) write(files map[string]string) {
	c.t.Helper()
	must(c.t, os.RemoveAll(c.dir))
	c.writeTraffic(c.dir, "b1", "b2", "b3")
	for name, text := range files {
		c.writeText(filepath.Join(c.dir, name), text)
	}
}

// pushGood makes a prefix have one farm, whose backend has a port.
func (c *canary) pushGood(prefix string, port int) {
	c.t.Helper()
	c.write(map[string]string{"good.toml": farm("192.0.2.8:80", port)})
	c.push(c.dir, prefix)
}

// promote copies the farms of the canary machine. With a fault it must fail, and tell the fault.
func (c *canary) promote(fault string) {
	c.t.Helper()
	_, err := c.etcd("promote", "--from", canaryOfEtcd, "--to", farmsOfEtcd)
	if fault == "" && err != nil || fault != "" && !(says(err, "nothing is promoted") && says(err, fault)) {
		c.t.Fatalf("promote: %v, want %q", err, fault)
	}
}

// awaitFault waits until farmc-etcd status shows the revision and the fault of a balancer, and all others as loaded.
func (c *canary) awaitFault(b *balancer, fault string) {
	c.t.Helper()
	c.retry("status shows the fault", func() error {
		shown, err := c.etcd("status")
		if !says(err, "2 machines without the files of etcd") {
			return fmt.Errorf("%s%v", shown, err)
		}
		for line := range strings.Lines(shown) {
			of := strings.Fields(line)
			faulty := strings.Contains(line, fault) && of[2] != "0"
			if of[0] == b.Name && !faulty || of[0] != b.Name && of[0] != "HOST" && of[4] != "loaded" {
				return errors.New(shown)
			}
		}
		return nil
	})
}

// awaitLoads waits until balancers have loaded the farm whose backend has a port.
func (c *canary) awaitLoads(port int, on ...*balancer) {
	c.t.Helper()
	for _, b := range on {
		c.retry(fmt.Sprintf("%s loads %d", b.Name, port), func() error {
			if got := c.loads.last(b); got != fmt.Sprint(port) {
				return fmt.Errorf("it has loaded %s", got)
			}
			return nil
		})
	}
}

// says reports whether an error has a text.
func says(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

package packettest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestWatchRestoresRules: farmc watch restores changed rules, and open connections go on. (A connection that sends
// while there are no rules at all is reset, because the balancer takes its packets as its own.) Unconfirmed farms serve
// until their time is over. The script for the boot serves with nft alone, until farmc watch adds the rules for
// interfaces.
func TestWatchRestoresRules(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, dsrTopologies[0].lab)
	dir, state := t.TempDir(), t.TempDir()
	web, near := filepath.Join(dir, "web.toml"), filepath.Join(dir, "near.toml")
	must(t, writeFile(web, oneBackend("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b1", 8081)))
	must(t, writeFile(near, dsrTopologies[0].farm(`"192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"`)))
	must(t, s.shell("sysctl -qw net.ipv4.ip_forward=1\nsysctl -qw net.ipv6.conf.all.forwarding=1")())
	program := farmc(t)
	w := startFarmc(t, s, program, "watch", "--dir", dir, "--state-dir", state)
	served := request{by: "tcp udp", to: service2, shares: shares{"b1:8081": 1}, sees: "balancer"}
	handedOn := directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 20}
	mended := func(times int) step {
		return eventually{stepFunc(func(*testbed) error {
			if n := strings.Count(w.said.String(), "the rules were changed: 2 farms loaded"); n < times {
				return fmt.Errorf("restored %d times, not %d", n, times)
			}
			return nil
		})}
	}
	for _, moment := range []struct {
		name  string
		made  func() error
		steps steps
	}{
		{"the start", noChange, steps{eventually{w.says("2 farms loaded")}, served, handedOn,
			hold{by: "tcp", to: service2}}},
		{"a table that is deleted", s.shell("nft delete table netdev farmc"), steps{mended(1), handedOn, echo{}}},
		{"a chain that is flushed", s.shell("nft flush chain inet farmc prerouting"), steps{mended(2), served, echo{}}},
		{"a map that is flushed", s.shell("nft flush map inet farmc services-ip4"), steps{mended(3), served, echo{}}},
		{"the end", func() error { return w.stop() }, steps{served, handedOn, echo{}}},
		{"a trial", func() error {
			must(t, writeFile(web, oneBackend("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2",
				8082)))
			w = startFarmc(t, s, program, "apply", "--dir", dir, "--state-dir", state, "--confirm", "1h")
			return nil
		}, steps{
			eventually{request{by: "tcp udp", to: service2, shares: shares{"b2:8082": 1}, sees: "balancer"}},
			// of this process, not of the one before
			eventually{stepFunc(func(s *testbed) error { return w.says("run farmc confirm, or ").do(s) })},
		}},
		{"its time", s.shell(`sed -i s/"boot":"[^"]*"/"boot":"another"/ ` + filepath.Join(state, "trial.json")), steps{
			eventually{served},
			handedOn,
			echo{},
		}},
		{"a boot, before farmc", s.shell("nft flush ruleset\nnft -f " + filepath.Join(state, "boot.nft")),
			steps{served}},
		{"a boot, with farmc", func() error {
			w = startFarmc(t, s, program, "watch", "--dir", dir, "--state-dir", state)
			return nil
		}, steps{eventually{handedOn}, served}},
		{"nft flush ruleset", s.shell("nft flush ruleset"), steps{eventually{served}, eventually{handedOn}}},
		{"the end once more", func() error { return w.stop() }, steps{served, handedOn}},
	} {
		err := moment.made()
		if err == nil {
			err = moment.steps.do(s)
		}
		if err != nil {
			t.Fatalf("after %s: %v\nfarmc said\n%s", moment.name, err, w.said.String())
		}
	}
}

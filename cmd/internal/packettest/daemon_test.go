package packettest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// What somebody does to the rules is mended, and open connections go on (but those that send while there are no rules at
// all, which this machine takes for its own and resets); what waits to be confirmed serves and then does
// no more, and what is kept for the boot serves by nft alone, until farmc watch puts in what hangs on interfaces.
func TestDaemon(t *testing.T) {
	t.Parallel()
	s := newStage(t, arms[0].lab)
	dir, state := t.TempDir(), t.TempDir()
	web, near := filepath.Join(dir, "web.toml"), filepath.Join(dir, "near.toml")
	must(t, write(web, one("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b1", 8081)))
	must(t, write(near, arms[0].farm(`"192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"`)))
	must(t, s.sh("sysctl -qw net.ipv4.ip_forward=1\nsysctl -qw net.ipv6.conf.all.forwarding=1")())
	program := farmc(t)
	w := daemon(t, s, program, "watch", "--dir", dir, "--state-dir", state)
	served := ask{by: "tcp udp", to: bothSecond, shares: shares{"b1:8081": 1}, sees: "balancer"}
	handedOn := reach{by: "tcp udp", to: both, shares: shares{"b1": 3, "b2": 1}, clients: 20}
	mended := func(times int) step {
		return eventually{deed(func(*stage) error {
			if n := strings.Count(w.said.String(), "the rules were changed: 2 farms loaded"); n < times {
				return fmt.Errorf("mended %d times, not %d", n, times)
			}
			return nil
		})}
	}
	for _, moment := range []struct {
		name  string
		made  func() error
		steps steps
	}{
		{"the start", nothing, steps{eventually{w.says("2 farms loaded")}, served, handedOn, hold{by: "tcp", to: bothSecond}}},
		{"a table that is deleted", s.sh("nft delete table netdev farmc"), steps{mended(1), handedOn, echo{}}},
		{"a chain that is flushed", s.sh("nft flush chain inet farmc prerouting"), steps{mended(2), served, echo{}}},
		{"a map that is flushed", s.sh("nft flush map inet farmc services-ip4"), steps{mended(3), served, echo{}}},
		{"the end", func() error { return w.stop() }, steps{served, handedOn, echo{}}},
		{"a trial", func() error {
			must(t, write(web, one("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2", 8082)))
			w = daemon(t, s, program, "apply", "--dir", dir, "--state-dir", state, "--confirm", "1h")
			return nil
		}, steps{
			eventually{ask{by: "tcp udp", to: bothSecond, shares: shares{"b2:8082": 1}, sees: "balancer"}},
			eventually{deed(func(s *stage) error { return w.says("run farmc confirm, or ").do(s) })}, // this one, not the one before
		}},
		{"its time", s.sh(`sed -i s/"boot":"[^"]*"/"boot":"another"/ ` + filepath.Join(state, "trial.json")), steps{
			eventually{served},
			handedOn,
			echo{},
		}},
		{"a boot, before farmc", s.sh("nft flush ruleset\nnft -f " + filepath.Join(state, "boot.nft")), steps{served}},
		{"a boot, with farmc", func() error {
			w = daemon(t, s, program, "watch", "--dir", dir, "--state-dir", state)
			return nil
		}, steps{eventually{handedOn}, served}},
		{"nft flush ruleset", s.sh("nft flush ruleset"), steps{eventually{served}, eventually{handedOn}}},
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

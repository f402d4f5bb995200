package packettest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// farmc watch runs on the balancer, files change, and connections follow.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := newStage(t, netlab.Options{})
	dir := t.TempDir()
	web, mail, health := filepath.Join(dir, "web.toml"), filepath.Join(dir, "mail.toml"), filepath.Join(dir, "web.toml.d", "health.toml")
	const second = "192.0.2.2:80 [2001:db8::2]:80"
	const listenSecond = `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`

	must(t, write(web, one("snat", listenBoth, "b1", 8081)))
	w := watch(t, s, dir)
	for _, change := range []struct {
		name  string
		made  func() error
		steps steps
	}{
		{"the start", nothing, steps{
			eventually{ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"}},
			hold{by: "tcp", to: both},
		}},
		{"an edit in place", func() error { return write(web, one("dnat", listenBoth, "b2", 8082)) }, steps{
			eventually{ask{by: "tcp udp", to: both, shares: shares{"b2:8082": 1}}},
		}},
		{"a rename", func() error {
			return errors.Join(write(web+".new", one("snat", listenBoth, "b3", 8083)), os.Rename(web+".new", web))
		}, steps{
			eventually{ask{by: "tcp udp", to: both, shares: shares{"b3:8083": 1}, sees: "balancer"}},
		}},
		{"another farm", func() error { return write(mail, one("snat", listenSecond, "b1", 0)) }, steps{
			eventually{ask{by: "tcp udp", to: second, shares: shares{"b1:80": 1}, sees: "balancer"}},
		}},
		{"a drop-in", func() error {
			return errors.Join(os.Mkdir(filepath.Dir(health), 0o755), write(health, "[backends.b3]\nstate = 'down'"))
		}, steps{
			eventually{refused{by: "tcp udp", to: both}},
		}},
		{"no drop-in", func() error { return os.RemoveAll(filepath.Dir(health)) }, steps{
			eventually{ask{by: "tcp udp", to: both, shares: shares{"b3:8083": 1}, sees: "balancer"}},
		}},
		{"a typo", func() error {
			return write(web, strings.Replace(one("snat", listenBoth, "b1", 8081), "listen", "lisen", 1))
		}, steps{
			eventually{w.says(`unknown key "lisen"`)},
			ask{by: "tcp udp", to: both, shares: shares{"b3:8083": 1}, sees: "balancer"},
			echo{},
		}},
		{"a change behind the typo", func() error { return write(mail, one("snat", listenSecond, "b2", 0)+"\nprot = 80") }, steps{
			eventually{w.says(`unknown key "prot"`)},
			ask{by: "tcp udp", to: second, shares: shares{"b1:80": 1}, sees: "balancer"},
		}},
		{"the typos mended", func() error {
			return errors.Join(write(mail, one("snat", listenSecond, "b2", 0)), write(web, one("snat", listenBoth, "b1", 8081)))
		}, steps{
			eventually{ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"}},
			eventually{ask{by: "tcp udp", to: second, shares: shares{"b2:80": 1}, sees: "balancer"}},
		}},
		{"a farm removed", func() error { return os.Remove(mail) }, steps{
			eventually{ask{by: "tcp udp", to: second, shares: shares{"balancer:80": 1}}},
			ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
		}},
		{"the last farm removed", func() error { return os.Remove(web) }, steps{
			eventually{ask{by: "tcp udp", to: both, shares: shares{"balancer:80": 1}}},
			echo{},
		}},
		{"a farm again", func() error { return write(web, one("snat", listenBoth, "b2", 0)) }, steps{
			eventually{ask{by: "tcp udp", to: both, shares: shares{"b2:80": 1}, sees: "balancer"}},
		}},
		{"the end of farmc", w.stop, steps{
			ask{by: "tcp udp", to: both, shares: shares{"b2:80": 1}, sees: "balancer"},
			echo{},
		}},
	} {
		err := change.made()
		if err == nil {
			err = change.steps.do(s)
		}
		if err != nil {
			t.Fatalf("after %s: %v\nfarmc watch said\n%s", change.name, err, w.said.String())
		}
	}
}

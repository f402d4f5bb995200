package packettest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestWatchFollowsFiles runs farmc watch on the balancer and changes files; connections follow the files.
func TestWatchFollowsFiles(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	dir := t.TempDir()
	web, mail, health := filepath.Join(dir, "web.toml"), filepath.Join(dir, "mail.toml"),
		filepath.Join(dir, "web.toml.d", "health.toml")
	const second = "192.0.2.2:80 [2001:db8::2]:80"
	const listenSecond = `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`

	must(t, writeFile(web, oneBackend("snat", listen1, "b1", 8081)))
	w := startWatch(t, s, dir)
	for _, change := range []struct {
		name  string
		made  func() error
		steps steps
	}{
		{"the start", noChange, steps{
			eventually{request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"}},
			hold{by: "tcp", to: service1},
		}},
		{"an edit in place", func() error { return writeFile(web, oneBackend("dnat", listen1, "b2", 8082)) }, steps{
			eventually{request{by: "tcp udp", to: service1, shares: shares{"b2:8082": 1}}},
		}},
		{"a rename", func() error {
			return errors.Join(writeFile(web+".new", oneBackend("snat", listen1, "b3", 8083)),
				os.Rename(web+".new", web))
		}, steps{
			eventually{request{by: "tcp udp", to: service1, shares: shares{"b3:8083": 1}, sees: "balancer"}},
		}},
		{"another farm", func() error { return writeFile(mail, oneBackend("snat", listenSecond, "b1", 0)) }, steps{
			eventually{request{by: "tcp udp", to: second, shares: shares{"b1:80": 1}, sees: "balancer"}},
		}},
		{"a drop-in", func() error {
			return errors.Join(os.Mkdir(filepath.Dir(health), 0o755),
				writeFile(health, "[backends.b3]\nstate = 'down'"))
		}, steps{
			eventually{refused{by: "tcp udp", to: service1}},
		}},
		{"no drop-in", func() error { return os.RemoveAll(filepath.Dir(health)) }, steps{
			eventually{request{by: "tcp udp", to: service1, shares: shares{"b3:8083": 1}, sees: "balancer"}},
		}},
		{"a typo", func() error {
			return writeFile(web, strings.Replace(oneBackend("snat", listen1, "b1", 8081), "listen", "lisen", 1))
		}, steps{
			eventually{w.says(`unknown key "lisen"`)},
			request{by: "tcp udp", to: service1, shares: shares{"b3:8083": 1}, sees: "balancer"},
			echo{},
		}},
		{"a change behind the typo",
			func() error { return writeFile(mail, oneBackend("snat", listenSecond, "b2", 0)+"\nprot = 80") }, steps{
				eventually{w.says(`unknown key "prot"`)},
				request{by: "tcp udp", to: second, shares: shares{"b1:80": 1}, sees: "balancer"},
			}},
		{"the typos mended", func() error {
			return errors.Join(writeFile(mail, oneBackend("snat", listenSecond, "b2", 0)),
				writeFile(web, oneBackend("snat", listen1, "b1", 8081)))
		}, steps{
			eventually{request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"}},
			eventually{request{by: "tcp udp", to: second, shares: shares{"b2:80": 1}, sees: "balancer"}},
		}},
		{"a farm removed", func() error { return os.Remove(mail) }, steps{
			eventually{request{by: "tcp udp", to: second, shares: shares{"balancer:80": 1}}},
			request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		}},
		{"the last farm removed", func() error { return os.Remove(web) }, steps{
			eventually{request{by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}}},
			echo{},
		}},
		{"a farm again", func() error { return writeFile(web, oneBackend("snat", listen1, "b2", 0)) }, steps{
			eventually{request{by: "tcp udp", to: service1, shares: shares{"b2:80": 1}, sees: "balancer"}},
		}},
		{"the end of farmc", w.stop, steps{
			request{by: "tcp udp", to: service1, shares: shares{"b2:80": 1}, sees: "balancer"},
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

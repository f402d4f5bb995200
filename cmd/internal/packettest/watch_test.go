package packettest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

func nothing() error { return nil }

func write(name, text string) error { return os.WriteFile(name, []byte(text), 0o644) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A watcher is farmc watch on the balancer.
type watcher struct {
	*exec.Cmd
	said output
}

func watch(t *testing.T, s *stage, dir string) *watcher {
	t.Helper()
	w := &watcher{Cmd: exec.CommandContext(t.Context(), farmc(t), "watch", "--dir", dir, "--state-dir", t.TempDir())}
	w.Stderr, w.Stdout = &w.said, &w.said
	must(t, s.Balancer.Do(w.Start))
	return w
}

// says is a step that succeeds once it has said so.
func (w *watcher) says(words string) step {
	return deed(func(*stage) error {
		if !strings.Contains(w.said.String(), words) {
			return fmt.Errorf("farmc watch doesn't say %q", words)
		}
		return nil
	})
}

func (w *watcher) stop() error {
	return errors.Join(w.Process.Signal(syscall.SIGTERM), w.Wait())
}

// farmc builds the program.
func farmc(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "farmc")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "farmc/cmd/farmc").CombinedOutput(); err != nil {
		t.Fatalf("build farmc: %v\n%s", err, out)
	}
	return program
}

// output collects what a program prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

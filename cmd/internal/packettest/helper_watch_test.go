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
)

// sh runs lines on the balancer.
func (s *stage) sh(lines string) func() error {
	return func() error { return on{"balancer", lines}.do(s) }
}

// daemon runs farmc on the balancer, until the end of the test at the latest.
func daemon(t *testing.T, s *stage, program string, args ...string) *watcher {
	t.Helper()
	w := &watcher{Cmd: exec.CommandContext(t.Context(), program, args...)}
	w.Stderr, w.Stdout = &w.said, &w.said
	must(t, s.Balancer.Do(w.Start))
	return w
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

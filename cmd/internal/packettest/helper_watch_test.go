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

// shell runs lines on the balancer.
func (s *testbed) shell(lines string) func() error {
	return func() error { return runOn{"balancer", lines}.do(s) }
}

// startFarmc runs farmc on the balancer, until the end of the test at the latest.
func startFarmc(t *testing.T, s *testbed, program string, args ...string) *watcher {
	t.Helper()
	w := &watcher{Cmd: exec.CommandContext(t.Context(), program, args...)}
	w.Stderr, w.Stdout = &w.said, &w.said
	must(t, s.Balancer.Do(w.Start))
	return w
}

func noChange() error { return nil }

func writeFile(name, text string) error { return os.WriteFile(name, []byte(takingOver(text)), 0o644) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A watcher is farmc watch on the balancer.
type watcher struct {
	*exec.Cmd
	said lockedBuffer
}

func startWatch(t *testing.T, s *testbed, dir string) *watcher {
	t.Helper()
	w := &watcher{Cmd: exec.CommandContext(t.Context(), farmc(t), "watch", "--dir", dir, "--state-dir", t.TempDir())}
	w.Stderr, w.Stdout = &w.said, &w.said
	must(t, s.Balancer.Do(w.Start))
	return w
}

// says succeeds once farmc has printed the text.
func (w *watcher) says(words string) step {
	return stepFunc(func(*testbed) error {
		if !strings.Contains(w.said.String(), words) {
			return fmt.Errorf("farmc watch doesn't say %q", words)
		}
		return nil
	})
}

func (w *watcher) stop() error {
	return errors.Join(w.Process.Signal(syscall.SIGTERM), w.Wait())
}

// farmc is the path of the program: of FARMC_PROGRAM, as where make test-matrix has no Go, or else built once for all
// tests, because each link takes seconds.
func farmc(t *testing.T) string {
	t.Helper()
	skipShort(t)
	program, err := builtFarmc()
	must(t, err)
	return program
}

var builtFarmc = sync.OnceValues(func() (string, error) {
	if built := os.Getenv("FARMC_PROGRAM"); built != "" {
		return built, nil
	}
	program := filepath.Join(programs, "farmc")
	out, err := exec.Command("go", "build", "-o", program, "farmc/cmd/farmc").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build farmc: %w\n%s", err, out)
	}
	return program, nil
})

// A lockedBuffer collects the output of a program.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *lockedBuffer) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *lockedBuffer) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

package clustertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"farmc/cmd/internal/netlab"
)

// A program runs in the foreground on a host.
type program struct {
	*exec.Cmd
	log string // the file with its output
}

// start starts a program with a high priority, as BFD counts 0.3 s on a machine that is busy with other tests. The
// program and its children end with the test.
func (s *site) start(h *netlab.Host, name string, args ...string) *program {
	s.t.Helper()
	p := &program{Cmd: exec.Command("nice", append([]string{"-n", "-15", name}, args...)...)}
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.CreateTemp(s.dir, h.Name+"-"+filepath.Base(name)+"-*.log")
	must(s.t, err)
	defer log.Close()
	p.Stdout, p.Stderr, p.log = log, log, log.Name()
	must(s.t, h.Do(p.Start))
	s.t.Cleanup(func() {
		p.kill()
		if s.t.Failed() {
			text, _ := os.ReadFile(p.log)
			s.t.Logf("%s on %s printed:\n%s", name, h.Name, text)
		}
	})
	return p
}

// kill ends the program and its children as kill -9 does, and waits for its end. A second kill does nothing.
func (p *program) kill() {
	if p.ProcessState == nil {
		_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
		p.Wait()
	}
}

// await waits until the program has printed a text.
func (s *site) await(p *program, text string) {
	s.t.Helper()
	var printed []byte
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if printed, _ = os.ReadFile(p.log); strings.Contains(string(printed), text) {
			return
		}
	}
	s.t.Fatalf("%s does not print %q:\n%s", p.Path, text, printed)
}

// awaitFile waits until a program has made a file.
func (s *site) awaitFile(name string) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(name); err == nil {
			return
		}
	}
	s.t.Fatalf("no program makes %s", name)
}

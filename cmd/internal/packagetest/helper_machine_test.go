package packagetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything on a machine may take.
const patience = time.Minute

// release is the Debian to install on, the oldest that has an nft that is new enough.
const (
	release = "bookworm"
	mirror  = "http://deb.debian.org/debian"
	needed  = "systemd,systemd-sysv,dbus,nftables,iproute2,kmod,procps"
)

// A Machine is a container with systemd as its first process, a network of its own and a disk that lasts for the test.
type Machine struct {
	t    *testing.T
	life *exec.Cmd
	log  *words // its console
	own  []talk // what the test left running on it
}

// A talk is a program that goes on until its standard input ends.
type talk struct {
	*exec.Cmd
	line string
	stop io.Closer
	said *words
}

// words are what a program has said so far.
type words struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// bare gives the directory of a Debian without farmc, made at the first time. Where it can't be made the test is
// skipped.
func bare(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("root alone can have a machine")
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = "/var/cache"
	}
	dir := filepath.Join(cache, "farmc-test-systemd", release)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	t.Logf("installing Debian %s in %s", release, dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Skip("no place for a Debian:", err)
	}
	making, err := os.MkdirTemp(filepath.Dir(dir), release+".")
	if err != nil {
		t.Skip("no place for a Debian:", err)
	}
	defer os.RemoveAll(making)
	out, err := exec.Command("debootstrap", "--variant=minbase", "--include="+needed, release, making, mirror).CombinedOutput()
	if err != nil {
		t.Skipf("a Debian can't be had here: debootstrap: %v\n%s", err, last(out, 1000))
	}
	if err := os.Chmod(making, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(making, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// life is a container's: mounts and processes that end with it, and a start for each reboot, as nspawn ends with 133 for one.
const life = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
mkdir "$2/new" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/new,workdir=$2/work" machine "$2/root"
cp -a "$3/." "$2/root/root/"
while status=0; systemd-nspawn --quiet --boot --directory="$2/root" --machine=balancer --register=no --keep-unit \
	--private-network --console=pipe --timezone=off --resolv-conf=off --link-journal=no </dev/null || status=$?
[ $status = 133 ]; do :; done`

// Boot starts a machine that has files in /root. A machine that doesn't come up though nothing of ours is on it is the
// fault of the place: the test is skipped.
func Boot(t *testing.T, files string) *Machine {
	t.Helper()
	m := &Machine{t: t, log: new(words)}
	m.life = exec.Command("unshare", "--mount", "--pid", "--mount-proc", "--kill-child", "sh", "-c", life, "life", bare(t), t.TempDir(), files)
	m.life.Stdout, m.life.Stderr = m.log, m.log
	if err := m.life.Start(); err != nil {
		t.Skip("no container here:", err)
	}
	t.Cleanup(m.end)
	if err := m.up(0); err != nil {
		t.Skipf("no container with systemd here: %v\n%s", err, last([]byte(m.log.String()), 2000))
	}
	return m
}

func (m *Machine) end() {
	m.life.Process.Kill()
	m.life.Wait()
	m.Leave()
}

// up waits until the machine has a first process, other than the one before, that has started all it wanted.
func (m *Machine) up(before int) error {
	deadline := time.Now().Add(2 * patience)
	for ; time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		pid := m.first()
		if pid == 0 || pid == before {
			continue
		}
		if out, err := m.command("systemctl is-system-running --wait 2>&1").Output(); err == nil || strings.TrimSpace(string(out)) == "degraded" {
			return nil
		}
	}
	return errors.New("it doesn't come up")
}

// first gives the process that is the first one in the container. Life has a namespace of processes, so that all ends
// with it, and the container has one in that.
func (m *Machine) first() int {
	all, _ := filepath.Glob("/proc/[0-9]*/status")
	parent, first := map[int]int{}, []int{}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			switch words[0] {
			case "PPid:":
				parent[pid], _ = strconv.Atoi(words[1])
			case "NSpid:":
				if len(words) == 4 && words[3] == "1" {
					first = append(first, pid)
				}
			}
		}
	}
	for _, pid := range first {
		for p := pid; p > 1; p = parent[p] {
			if p == m.life.Process.Pid {
				return pid
			}
		}
	}
	return 0
}

// command is a shell's command on the machine.
func (m *Machine) command(line string) *exec.Cmd {
	cmd := exec.Command("nsenter", "--target", strconv.Itoa(m.first()), "--mount", "--uts", "--ipc", "--net", "--pid",
		"sh", "-c", "cd /; "+line)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin:/root", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

// Try runs a command and gives what it printed and its status.
func (m *Machine) Try(format string, args ...any) (string, int) {
	m.t.Helper()
	line := fmt.Sprintf(format, args...)
	out, err := m.command(line).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		m.t.Fatalf("%s: %v", line, err)
	}
	return string(out), 0
}

// Do runs a command that has to succeed, and gives what it printed.
func (m *Machine) Do(format string, args ...any) string {
	m.t.Helper()
	out, status := m.Try(format, args...)
	if status != 0 {
		m.t.Fatalf("%s: %d\n%s\n%s", fmt.Sprintf(format, args...), status, out, m.journal())
	}
	return out
}

// Until runs a command again and again until it succeeds.
func (m *Machine) Until(format string, args ...any) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		out, status := m.Try(format, args...)
		if status == 0 {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("not in %v: %s: %d\n%s\n%s", patience, fmt.Sprintf(format, args...), status, out, m.journal())
		}
	}
}

// Write writes a file as an editor does that has no tricks.
func (m *Machine) Write(path, text string) {
	m.t.Helper()
	cmd := m.command("cat > " + path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("write %s: %v\n%s", path, err, out)
	}
}

// Start leaves a program running until Leave or the end of the machine.
func (m *Machine) Start(line string) talk {
	m.t.Helper()
	cmd, out := m.command("exec "+line), new(words)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	stop, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		m.t.Fatalf("%s: %v", line, err)
	}
	t := talk{cmd, line, stop, out}
	m.own = append(m.own, t)
	return t
}

// Leave ends what Start began.
func (m *Machine) Leave() {
	for _, t := range slices.Backward(m.own) {
		t.stop.Close()
		t.Wait()
	}
	m.own = nil
}

// Reboot shuts the machine down and starts it again.
func (m *Machine) Reboot() {
	m.t.Helper()
	before := m.first()
	m.Leave() // systemd waits in vain for the end of processes whose parents are elsewhere
	m.Do("systemctl reboot")
	m.gone(before)
	if err := m.up(before); err != nil {
		m.t.Fatalf("after a reboot: %v\n%s", err, last([]byte(m.log.String()), 3000))
	}
}

// gone waits until a process has ended.
func (m *Machine) gone(pid int) {
	m.t.Helper()
	for deadline := time.Now().Add(2 * patience); syscall.Kill(pid, 0) == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("the machine doesn't go down\n%s", last([]byte(m.log.String()), 3000))
		}
	}
}

// journal is what farmc and its units said last.
func (m *Machine) journal() string {
	out, _ := m.command("journalctl --no-pager --boot --lines=40 --unit='farmc*' --unit='nftables*' --output=short-precise").CombinedOutput()
	return string(out)
}

func last(text []byte, n int) string { return string(text[max(len(text)-n, 0):]) }

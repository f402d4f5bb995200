package packagetest

import (
	"bytes"
	"cmp"
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

// commandTimeout is the time that anything on a machine may take.
const commandTimeout = time.Minute

const (
	oldest = "bookworm" // the oldest Debian with a new enough nft
	mirror = "http://deb.debian.org/debian"
	needed = "systemd,systemd-sysv,dbus,nftables,iproute2,kmod,procps"
)

// release returns the name of the Debian to install on.
func release() string { return cmp.Or(os.Getenv("RELEASE"), oldest) }

// addPrograms installs curl, and firewalld, which debootstrap cannot configure, in the Debian $1. firewalld needs
// /etc/protocols.
const addPrograms = `set -e
cp /etc/resolv.conf "$1/etc/resolv.conf"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive
chroot "$1" apt-get update -q
chroot "$1" apt-get install -qy --no-install-recommends curl firewalld netbase
chroot "$1" systemctl disable firewalld
rm "$1/etc/resolv.conf"`

// A Machine is a container with systemd as its first process, a network of its own and a disk that lasts for the test.
type Machine struct {
	t         *testing.T
	container *exec.Cmd
	log       *output   // its console
	started   []program // programs that run until Leave
}

// A program runs until its standard input ends.
type program struct {
	*exec.Cmd
	line   string
	stop   io.Closer
	output *output
}

// output collects the output of a program.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *output) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *output) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// debianRoot is the root directory of a Debian without farmc. The first test makes it. The test is skipped if that
// fails.
func debianRoot(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = "/var/cache"
	}
	dir := filepath.Join(cache, "farmc-test-systemd", release()+".programs")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	t.Logf("installing Debian %s in %s", release(), dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Skip("no directory for Debian:", err)
	}
	making, err := os.MkdirTemp(filepath.Dir(dir), release()+".")
	if err != nil {
		t.Skip("no directory for Debian:", err)
	}
	defer os.RemoveAll(making)
	out, err := exec.Command("debootstrap", "--variant=minbase", "--include="+needed, release(), making,
		mirror).CombinedOutput()
	if err != nil {
		t.Skipf("cannot install Debian: debootstrap: %v\n%s", err, last(out, 1000))
	}
	out, err = exec.Command("sh", "-c", addPrograms, "sh", making).CombinedOutput()
	if err != nil {
		t.Skipf("cannot install programs: %v\n%s", err, last(out, 1000))
	}
	if err := os.Chmod(making, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(making, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// container runs systemd-nspawn with mounts and processes that end with it. nspawn exits with 133 for a reboot, and is
// then started again.
const container = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
mkdir "$2/new" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/new,workdir=$2/work" machine "$2/root"
cp -a "$3/." "$2/root/root/"
while status=0; systemd-nspawn --quiet --boot --directory="$2/root" --machine=balancer --register=no --keep-unit \
	--private-network --console=pipe --timezone=off --resolv-conf=off --link-journal=no </dev/null || status=$?
[ $status = 133 ]; do :; done`

// Boot starts a machine that has files in /root. If the machine does not boot, the test is skipped: farmc is not
// installed yet, so the place is at fault.
func Boot(t *testing.T, files string) *Machine {
	t.Helper()
	m := &Machine{t: t, log: new(output)}
	m.container = exec.Command("unshare", "--mount", "--pid", "--mount-proc", "--kill-child", "sh", "-c", container,
		"life", debianRoot(t), t.TempDir(), files)
	m.container.Stdout, m.container.Stderr = m.log, m.log
	if err := m.container.Start(); err != nil {
		t.Skip("no container here:", err)
	}
	t.Cleanup(m.end)
	if err := m.awaitBoot(0); err != nil {
		t.Skipf("no container with systemd here: %v\n%s", err, last([]byte(m.log.String()), 2000))
	}
	return m
}

func (m *Machine) end() {
	m.container.Process.Kill()
	m.container.Wait()
	m.Leave()
}

// awaitBoot waits until the machine has a new init process, other than before, that has started all units.
func (m *Machine) awaitBoot(before int) error {
	deadline := time.Now().Add(2 * commandTimeout)
	for ; time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		pid := m.initPID()
		if pid == 0 || pid == before {
			continue
		}
		if out, err := m.command("systemctl is-system-running --wait 2>&1").Output(); err == nil ||
			strings.TrimSpace(string(out)) == "degraded" {
			return nil
		}
	}
	return errors.New("the machine does not boot")
}

// initPID is the container's init process. The container has a PID namespace inside of the namespace that unshare made,
// so that all processes end with the outer one.
func (m *Machine) initPID() int {
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
			if p == m.container.Process.Pid {
				return pid
			}
		}
	}
	return 0
}

// command is a shell command on the machine.
func (m *Machine) command(line string) *exec.Cmd {
	cmd := exec.Command("nsenter", "--target", strconv.Itoa(m.initPID()), "--mount", "--uts", "--ipc", "--net", "--pid",
		"sh", "-c", "cd /; "+line)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin:/root", "HOME=/root", "LC_ALL=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

// Try runs a command and returns its output and status.
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

// Do runs a command that has to succeed, and returns its output.
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
	for deadline := time.Now().Add(commandTimeout); ; time.Sleep(20 * time.Millisecond) {
		out, status := m.Try(format, args...)
		if status == 0 {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("not within %v: %s: %d\n%s\n%s", commandTimeout, fmt.Sprintf(format, args...), status, out,
				m.journal())
		}
	}
}

// Write writes a file in place, as a simple editor does.
func (m *Machine) Write(path, text string) {
	m.t.Helper()
	cmd := m.command("cat > " + path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("write %s: %v\n%s", path, err, out)
	}
}

// Start starts a program that runs until Leave or the end of the machine.
func (m *Machine) Start(line string) program {
	m.t.Helper()
	cmd, out := m.command("exec "+line), new(output)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	stop, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		m.t.Fatalf("%s: %v", line, err)
	}
	t := program{cmd, line, stop, out}
	m.started = append(m.started, t)
	return t
}

// Leave ends all programs of Start.
func (m *Machine) Leave() {
	for _, t := range slices.Backward(m.started) {
		t.stop.Close()
		t.Wait()
	}
	m.started = nil
}

// Reboot shuts the machine down and starts it again.
func (m *Machine) Reboot() {
	m.t.Helper()
	before := m.initPID()
	m.Leave() // systemd would wait in vain for processes with parents outside
	m.Do("systemctl reboot")
	m.awaitExit(before)
	if err := m.awaitBoot(before); err != nil {
		m.t.Fatalf("after a reboot: %v\n%s", err, last([]byte(m.log.String()), 3000))
	}
}

// awaitExit waits until a process has ended.
func (m *Machine) awaitExit(pid int) {
	m.t.Helper()
	for deadline := time.Now().Add(2 * commandTimeout); syscall.Kill(pid, 0) == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("the machine does not shut down\n%s", last([]byte(m.log.String()), 3000))
		}
	}
}

// journal is the end of the journal of farmc's units.
func (m *Machine) journal() string {
	units := "--unit='farmc*' --unit='nftables*' --unit='firewalld*'"
	out, _ := m.command("journalctl --no-pager --boot --lines=40 --output=short-precise " + units).CombinedOutput()
	return string(out)
}

func last(text []byte, n int) string { return string(text[max(len(text)-n, 0):]) }

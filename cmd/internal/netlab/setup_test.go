package netlab

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Who isn't root gets labs in a user namespace: these tests, run by "nobody".
func TestWithoutRoot(t *testing.T) {
	if os.Getuid() != 0 || os.Getenv(entered) != "" {
		t.Skip("not root")
	}
	again := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v",
		"-test.run=^(TestRouting|TestDNAT|TestPing|TestNothingRemains)$")
	again.Dir = "/"
	again.Env = append(os.Environ(), "CI=1")
	again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := again.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EINVAL) {
		t.Skip("root of a user namespace can't become somebody else:", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDNAT") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Where there can't be namespaces, here as their number is limited, tests are skipped with a word, but fail in CI.
func TestUnavailable(t *testing.T) {
	var about unix.Statfs_t
	if err := unix.Statfs("/proc/sys/user", &about); err == nil && about.Flags&unix.ST_RDONLY != 0 {
		t.Skip("their number can't be limited in this container")
	}
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := without(t, test, "CI=").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "SKIP: TestSysctl") || !strings.Contains(string(out), ErrUnavailable.Error()) {
		t.Errorf("without CI: %v\n%s", err, out)
	}
	out, err = without(t, test, "CI=1").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "FAIL: TestSysctl") {
		t.Errorf("in CI: %v\n%s", err, out)
	}
}

// without is a test of ours where no network namespace can be had.
func without(t *testing.T, test, setting string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user",
		"sh", "-c", `echo 0 >/proc/sys/user/max_net_namespaces; exec "$0" -test.v -test.run=^TestSysctl$`, test)
	c.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, entered) }), setting)
	return c
}

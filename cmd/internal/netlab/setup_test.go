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

// A user without root gets labs in a user namespace. The test runs these tests as user nobody.
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
		t.Skip("root of a user namespace cannot change to another user:", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDNAT") {
		t.Errorf("%v\n%s", err, out)
	}
}

// If no namespace can be created, here because of a limit, tests are skipped with the reason, and fail in CI.
func TestUnavailable(t *testing.T) {
	var about unix.Statfs_t
	if err := unix.Statfs("/proc/sys/user", &about); err == nil && about.Flags&unix.ST_RDONLY != 0 {
		t.Skip("their number can't be limited in this container")
	}
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := runWithoutNamespaces(t, test, "CI=").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "SKIP: TestSysctl") ||
		!strings.Contains(string(out), ErrUnavailable.Error()) {
		t.Errorf("without CI: %v\n%s", err, out)
	}
	out, err = runWithoutNamespaces(t, test, "CI=1").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "FAIL: TestSysctl") {
		t.Errorf("in CI: %v\n%s", err, out)
	}
}

// runWithoutNamespaces runs a test of this package in a user namespace that may not create network namespaces.
func runWithoutNamespaces(t *testing.T, test, setting string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user",
		"sh", "-c", `echo 0 >/proc/sys/user/max_net_namespaces; exec "$0" -test.v -test.run=^TestSysctl$`, test)
	c.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, entered) }),
		setting)
	return c
}

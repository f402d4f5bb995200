package netlab

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Who isn't root gets labs in a user namespace: these tests, run by "nobody".
func TestWithoutRoot(t *testing.T) {
	if os.Getuid() != 0 || os.Getenv(entered) != "" {
		t.Skip("not root")
	}
	again := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^(TestRouting|TestDNAT|TestPing|TestNothingRemains)$", "-test.v")
	again.Dir = "/"
	again.Env = append(os.Environ(), "CI=1")
	again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDNAT") {
		t.Errorf("%v\n%s", err, out)
	}
}

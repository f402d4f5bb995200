package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nft"
	"farmc/cmd/internal/statedir"
)

// TestMain runs the tests in a network namespace of their own if this process may create one.
func TestMain(m *testing.M) {
	const inside = "FARMC_TEST_NAMESPACE"
	if os.Getenv(inside) != "" || os.Geteuid() != 0 {
		if os.Getenv(inside) != "" { // the script for this machine is the one that compile prints
			os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait", []byte("3600"), 0)
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// engineFor returns an engine with the real nft and an empty ruleset, for farms in a new directory. Its path is the
// second result.
func engineFor(t *testing.T, files map[string]string) (*Engine, string) {
	t.Helper()
	var n nft.Nft
	if os.Getenv("FARMC_TEST_NAMESPACE") == "" {
		t.Skip("needs root, for a network namespace")
	}
	if _, err := n.Version(t.Context()); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no nft here:", err)
	}
	if err := n.Load(t.Context(), []byte("flush ruleset\n")); err != nil {
		t.Fatal(err)
	}
	root, err := os.MkdirTemp("/var/lib", "farmc-test-") // only root can write on the way to it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	farms := filepath.Join(root, "farms.d")
	writeFiles(t, farms, files)
	e := &Engine{Dirs: nil, Nft: n, Store: statedir.NewStore(filepath.Join(root, "state")), Log: t.Logf, Cause: "test"}
	e.Dirs = append(e.Dirs, Dir(farms))
	return e, farms
}

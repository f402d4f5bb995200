// Package testmachine gives tests a machine to load into: a network namespace of their own, nft with an empty ruleset,
// and files that only root can change. Package netlab has networks with several hosts.
//
// Order of the files: machine.go (Main, Nft), files.go (Root, Write, Replace, Must).
package testmachine

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nft"
)

// inside is the environment variable of a process in the namespace of its own.
const inside = "FARMC_TEST_NAMESPACE"

// Main runs the tests of a package in a network namespace of their own if this process may create one, and exits with
// their status. Prepare sets the namespace up before the tests: func TestMain(m *testing.M) { testmachine.Main(m) }.
func Main(m *testing.M, prepare ...func()) {
	if os.Getenv(inside) != "" {
		for _, step := range prepare {
			step()
		}
		os.Exit(m.Run())
	}
	if os.Geteuid() != 0 {
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

// Nft returns the nft of this machine, with an empty ruleset in the namespace of Main. Without the namespace or nft it
// skips the test; without nft it fails the test if the environment variable CI is set.
func Nft(t *testing.T) (n nft.Nft) {
	t.Helper()
	if os.Getenv(inside) == "" {
		t.Skip("needs root, for a network namespace")
	}
	if _, err := n.Version(t.Context()); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no nft here:", err)
	}
	Must(t, n.Load(t.Context(), []byte("flush ruleset\n")))
	return n
}

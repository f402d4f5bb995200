package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// entered is set in the environment of a process that Enter has started.
const entered = "NETLAB_ENTERED"

// Enter makes sure that this process may create labs. A program calls it before anything else. Without root Enter runs
// the same program again in a user namespace, and exits with its exit status. If that is impossible, too, the error is
// ErrUnavailable, and wraps the reason.
func Enter() error {
	ns, err := newNamespace()
	if err == nil {
		return ns.file.Close()
	}
	if os.Getenv(entered) != "" {
		return err
	}
	again := inUserNamespace()
	runtime.LockOSThread() // Pdeathsig is sent when the thread that has started the child ends
	if refused := again.Start(); refused != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("%w; nor in a user namespace: %w", err, refused)
	}
	go passSignals(again.Process)
	os.Exit(exitStatus(again.Wait()))
	panic("unreachable")
}

// passSignals passes signals on to the child. It leaves out SIGINT, which a terminal sends to both processes.
func passSignals(to *os.Process) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	for s := range signals {
		if s != syscall.SIGINT {
			to.Signal(s)
		}
	}
}

// inUserNamespace is this program with its arguments, as root of a user namespace.
func inUserNamespace() *exec.Cmd {
	again := exec.Command("/proc/self/exe")
	again.Args = os.Args
	again.Env = append(os.Environ(), entered+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	return again
}

// exitStatus is the exit status that a shell would give for the end of a program.
func exitStatus(err error) int {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return 1
		}
		return 0
	}
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return exit.ExitCode()
}

// Main runs a package's tests after Enter: func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }. If labs are
// unavailable it runs the tests all the same, and Test skips the ones that need a lab.
func Main(m interface{ Run() int }) int {
	if err := Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "netlab:", err)
	}
	return m.Run()
}

// TestingT is the part of *testing.T that Test needs.
type TestingT interface {
	Helper()
	Cleanup(func())
	Error(...any)
	Fatal(...any)
	Skip(...any)
}

// Test builds a lab for a test, and closes it at the end of the test. If labs are unavailable it skips the test, or
// fails it if the environment variable CI is set.
func Test(t TestingT, options Options) *Lab {
	t.Helper()
	l, err := New(options)
	if errors.Is(err, ErrUnavailable) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

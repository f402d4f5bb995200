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

// Enter makes sure that this process can have labs, before it does anything else. Where it can't, as it isn't root,
// Enter runs the same program again in a user namespace, and exits as that does. Where that is impossible, too, the
// error is ErrUnavailable and says why.
func Enter() error {
	ns, err := newNamespace()
	if err == nil {
		return ns.file.Close()
	}
	if os.Getenv(entered) != "" {
		return err
	}
	again := inUserNamespace()
	runtime.LockOSThread() // the child gets its signal when the thread that started it ends
	if refused := again.Start(); refused != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("%w; nor in a user namespace: %w", err, refused)
	}
	go passSignals(again.Process)
	os.Exit(status(again.Wait()))
	panic("unreachable")
}

// passSignals hands on what only we are sent. An interrupt comes from the terminal, which sends it to both.
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

// status is what a shell would make of a program's end.
func status(err error) int {
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

// Main runs a package's tests after Enter: func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }. Where labs
// can't be had, the tests run all the same, and Test skips those that need one.
func Main(m interface{ Run() int }) int {
	if err := Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "netlab:", err)
	}
	return m.Run()
}

// T is what Test needs of a *testing.T.
type T interface {
	Helper()
	Cleanup(func())
	Error(...any)
	Fatal(...any)
	Skip(...any)
}

// Test gives a test its lab, and closes it at the end. Where labs can't be had the test is skipped, or fails when
// the environment says CI.
func Test(t T, options Options) *Lab {
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

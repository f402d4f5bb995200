package nft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// run runs nft to its end with the script as its standard input, and gives its standard output.
func (n Nft) run(ctx context.Context, where namespaces, script []byte, args ...string) ([]byte, error) {
	path, err := n.find()
	if err != nil {
		return nil, err
	}
	if n.Limit > 0 {
		limited, end := context.WithTimeoutCause(ctx, n.Limit, LimitError{n.Limit})
		defer end()
		ctx = limited
	}
	var stdout, stderr cappedBuffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(script), &stdout, &stderr
	cmd.Env = append(os.Environ(), "LC_ALL=C") // error messages are parsed, so they must not be translated
	cmd.SysProcAttr = sysProcAttr(where)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = drainTime
	if err := cmd.Start(); err != nil {
		return nil, startError(ctx, where, err)
	}
	if err := cmd.Wait(); err != nil && !errors.Is(err, exec.ErrWaitDelay) { // ErrWaitDelay: nft ended with status 0
		return nil, exitError(ctx, err, stderr.String())
	}
	return stdout.kept.Bytes(), nil
}

// drainTime is how long nft's pipes are read after nft has ended. A background process that a wrapper of nft leaves
// running may hold them open forever. It is long because a busy machine may read them late.
const drainTime = 5 * time.Second

// find gives the path of nft. It looks in sbin too, as the PATH of plain users and of cron does not hold it.
func (n Nft) find() (string, error) {
	if n.Path != "" {
		path, err := exec.LookPath(n.Path)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s: %w", n.Path, ErrMissing)
		}
		return path, err
	}
	for _, name := range []string{"nft", "/usr/sbin/nft", "/sbin/nft"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrMissing
}

// startError gives the error for an nft that could not be started.
func startError(ctx context.Context, where namespaces, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("nft was not started: %w", context.Cause(ctx))
	case where == isolated:
		return fmt.Errorf("%w: %w", errNoNamespace, err)
	}
	return fmt.Errorf("run nft: %w", err)
}

// exitError gives the error for the way in which nft has ended: stopped, killed by a signal, or with an exit status.
func exitError(ctx context.Context, err error, stderr string) error {
	var exit *exec.ExitError
	switch {
	case errors.As(context.Cause(ctx), &LimitError{}):
		return context.Cause(ctx)
	case ctx.Err() != nil:
		return fmt.Errorf("nft was stopped: %w", context.Cause(ctx))
	case !errors.As(err, &exit):
		return fmt.Errorf("nft: %w", err)
	case killedBy(exit) != 0:
		return &Crash{Signal: killedBy(exit), Tail: tail(stderr)}
	case exit.ExitCode() != 1: // 2: no memory, 3: no netlink socket
		return fmt.Errorf("nft: %w: %s", err, tail(stderr))
	}
	refusal := newRefusal(stderr)
	switch {
	case refusal.endsWith("Operation not permitted"):
		return fmt.Errorf("%w: %v", ErrNotPermitted, refusal.Complaints[0])
	case refusal.endsWith("Message too long"):
		return ErrTooLong
	}
	return refusal
}

// killedBy gives the signal that ended a process, or 0. A shell reports the signal of its child as status 128 + signal.
func killedBy(exit *exec.ExitError) syscall.Signal {
	status := exit.Sys().(syscall.WaitStatus)
	switch code := status.ExitStatus(); {
	case status.Signaled():
		return status.Signal()
	case code > 128 && code <= 128+64:
		return syscall.Signal(code - 128)
	}
	return 0
}

// tail gives the last 300 bytes of nft's standard error, on one line.
func tail(stderr string) string {
	words := strings.ReplaceAll(strings.TrimSpace(stderr), "\n", "; ")
	return words[max(len(words)-300, 0):]
}

// cappedBuffer keeps the first MiB that is written to it, and drops the rest.
type cappedBuffer struct{ kept bytes.Buffer }

func (l *cappedBuffer) Write(p []byte) (int, error) {
	l.kept.Write(p[:min(len(p), 1<<20-l.kept.Len())])
	return len(p), nil
}

func (l *cappedBuffer) String() string { return l.kept.String() }

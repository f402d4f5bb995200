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

// run runs nft to its end with the script as its standard input, and gives what it prints to standard output.
func (n Nft) run(ctx context.Context, where place, script []byte, args ...string) ([]byte, error) {
	path, err := n.find()
	if err != nil {
		return nil, err
	}
	var stdout, stderr limited
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(script), &stdout, &stderr
	cmd.Env = append(os.Environ(), "LC_ALL=C") // complaints are parsed, so they must not be translated
	cmd.SysProcAttr = process(where)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = leftovers
	if err := cmd.Start(); err != nil {
		return nil, unstarted(ctx, where, err)
	}
	if err := cmd.Wait(); err != nil && !errors.Is(err, exec.ErrWaitDelay) { // which is of an nft that did well
		return nil, trouble(ctx, err, stderr.String())
	}
	return stdout.kept.Bytes(), nil
}

// leftovers is how long nft's pipes are read once it has ended: what a wrapper leaves running may hold them for ever, and
// a machine that is busy may not come to read them at once.
const leftovers = 5 * time.Second

// find gives the path of nft. The PATH of plain users and of cron has no sbin.
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

// unstarted tells what it means that nft didn't come to run.
func unstarted(ctx context.Context, where place, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("nft was not started: %w", context.Cause(ctx))
	case where == apart:
		return fmt.Errorf("%w: %w", errNoNamespace, err)
	}
	return fmt.Errorf("run nft: %w", err)
}

// trouble tells what the end of an nft run means.
func trouble(ctx context.Context, err error, stderr string) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("nft was stopped: %w", context.Cause(ctx))
	case !errors.As(err, &exit):
		return fmt.Errorf("nft: %w", err)
	case killedBy(exit) != 0:
		return &Crash{Signal: killedBy(exit), Words: lastWords(stderr)}
	case exit.ExitCode() != 1: // 2: no memory, 3: no netlink socket
		return fmt.Errorf("nft: %w: %s", err, lastWords(stderr))
	}
	refusal := newRefusal(stderr)
	switch {
	case refusal.says("Operation not permitted"):
		return fmt.Errorf("%w: %v", ErrNotPermitted, refusal.Complaints[0])
	case refusal.says("Message too long"):
		return ErrTooLong
	}
	return refusal
}

// killedBy gives the signal that ended a process, of one that a shell ran (128 and the signal) as well; else 0.
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

// lastWords gives the end of what nft said, on one line.
func lastWords(stderr string) string {
	words := strings.ReplaceAll(strings.TrimSpace(stderr), "\n", "; ")
	return words[max(len(words)-300, 0):]
}

// limited keeps the beginning of what is written to it, 1 MiB.
type limited struct{ kept bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.kept.Write(p[:min(len(p), 1<<20-l.kept.Len())])
	return len(p), nil
}

func (l *limited) String() string { return l.kept.String() }

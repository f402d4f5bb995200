package probe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"farmc/compiler/addr"
	"farmc/compiler/toml"
)

// exec runs a program of the directory of checks. The exit status is 0 if the backend is healthy, 1 if not, 2 to 102
// if it can take 0 to 100 percent of its weight. The first line of its output is the reason.
func (c *check) exec() Result {
	path, err := program(c.programs, c.Check.Program)
	if err != nil {
		return unknown("program %s: %s", c.Check.Program, withoutPath(err))
	}
	ctx, cancel := context.WithDeadline(c.ctx, c.deadline)
	defer cancel()
	out := new(head)
	cmd := c.command(ctx, path, out)
	if err := cmd.Start(); err != nil {
		return unknown("program %s: %s", c.Check.Program, withoutPath(err))
	}
	cmd.Wait()     // exited has the status
	killGroup(cmd) // children that the program has left behind
	if ctx.Err() != nil {
		return unhealthy("program did not end in %s", toml.FormatDuration(c.Check.Timeout))
	}
	return exited(cmd, out.line())
}

// outputTime is the time that the output of a program may stay open after its end: on a busy machine its last bytes are
// read late, and a child that the program leaves behind keeps it open.
const outputTime = 500 * time.Millisecond

// command is the program without arguments, in a process group of its own, with the backend in its environment.
func (c *check) command(ctx context.Context, path string, out *head) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path)
	cmd.Dir, cmd.Env = "/", c.environment()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = outputTime
	return cmd
}

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

func (c *check) environment() []string {
	family := addr.FamilyOf(c.Address)
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8",
		"FARMC_FARM=" + c.Farm,
		"FARMC_BACKEND=" + c.Backend,
		"FARMC_ADDRESS=" + c.Address.String(),
		"FARMC_FAMILY=" + family.Version(),
		"FARMC_TIMEOUT=" + strconv.FormatFloat(c.Check.Timeout.Seconds(), 'f', -1, 64),
	}
	if c.Port != 0 {
		env = append(env, "FARMC_PORT="+strconv.Itoa(int(c.Port)))
	}
	if source := c.Check.Source[family]; source.IsValid() {
		env = append(env, "FARMC_SOURCE="+source.String())
	}
	return env
}

// program returns the path of a program in the directory. Only root may be able to change the program and to replace
// it, because the process that runs it can have other users' trust.
func program(dir, name string) (path string, err error) {
	if name == "" || name != filepath.Base(name) || name == "." || name == ".." {
		return "", errors.New("not the name of a file")
	}
	root, err := os.OpenRoot(dir) // a symlink cannot lead out of it
	if err != nil {
		return "", err
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err == nil {
		err = onlyRootWrites(info, "directory of programs")
	}
	if err != nil {
		return "", err
	}
	info, err = root.Stat(name)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errors.New("not a regular file")
	}
	return filepath.Join(dir, name), onlyRootWrites(info, "file")
}

func onlyRootWrites(info fs.FileInfo, what string) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || owner.Uid != 0:
		return errors.New(what + " does not belong to root")
	case info.Mode().Perm()&0o022 != 0:
		return errors.New(what + " can be written by other users than root")
	}
	return nil
}

// The exit statuses of programs.
const (
	exitUnhealthy  = 1
	exitNoWeight   = 2
	exitFullWeight = 102
)

// exited returns the result for a program that has ended.
func exited(cmd *exec.Cmd, line string) Result {
	state := cmd.ProcessState
	code := state.ExitCode()
	r := unhealthy("exit status %d", code)
	switch status := state.Sys().(syscall.WaitStatus); {
	case status.Signaled():
		return unhealthy("killed by signal %d", int(status.Signal()))
	case code == 0:
		r = healthy("exit status 0")
	case exitNoWeight <= code && code <= exitFullWeight:
		r = healthy("exit status %d", code)
		r.Percent = code - exitNoWeight
	case code != exitUnhealthy:
		return unhealthy("exit status %d, expected 0 to %d", code, exitFullWeight)
	}
	if line != "" {
		r.Reason = line
	}
	return r
}

// A head keeps the first bytes that are written to it.
type head struct{ kept []byte }

const headSize = 1024

// Write takes everything, so that the program never waits for a reader.
func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), headSize-len(h.kept))]...)
	return len(p), nil
}

// line is the first line, made printable.
func (h *head) line() string {
	first, _, _ := strings.Cut(strings.TrimSpace(string(h.kept)), "\n")
	return printable(strings.TrimSpace(first), LongestReason)
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/systemd"
)

// awaitVerb is internal: the process that waits for the end of a trial. The arguments are the name of the trial and the
// process of the apply; without a process the end of standard input tells that apply has loaded, or was killed.
var awaitVerb = verb{
	name: "await",
	args: "TRIAL [PROCESS]",
	run: func(ctx context.Context, c *call) int {
		io.Copy(io.Discard, os.Stdin)
		if len(c.args) == 2 {
			c.awaitBegin(ctx, c.args[0], c.args[1])
		}
		if len(c.args) == 0 || c.engine().Await(ctx, c.args[0]) != nil {
			return exitFailure
		}
		return exitOK
	},
}

// awaitBegin waits until the trial is recorded, or the process of the apply has ended.
func (c *call) awaitBegin(ctx context.Context, trial, process string) {
	pid, err := strconv.Atoi(process)
	if err != nil {
		return
	}
	apply, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(apply)
	store := c.engine().Store
	for ctx.Err() == nil {
		t, err := store.Trial()
		if err == nil && t != nil && t.Name == trial {
			return
		}
		ended := []unix.PollFd{{Fd: int32(apply), Events: unix.POLLIN}}
		if n, err := unix.Poll(ended, 100); n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// A confirmTimer is a farmc process that waits for the end of a trial. It is independent of the process, terminal and
// session of the apply, because the load can cut them off.
type confirmTimer struct {
	trial string
	start io.Closer // nil for a unit
	unit  bool      // it is a transient unit of systemd, so it outlives the service or scope of the apply
}

// begin tells the process that apply has loaded.
func (w *confirmTimer) begin() {
	if w.start != nil {
		w.start.Close()
	}
}

// startConfirmTimer starts the process before anything is loaded, so that an error keeps apply from loading. Where
// systemd runs it is a transient unit: systemd kills all processes of a service at its end, whatever their session.
func (c *call) startConfirmTimer(ctx context.Context) (*confirmTimer, error) {
	trial := rand.Text()
	args, err := c.awaitArguments()
	if err != nil {
		return nil, err
	}
	if systemd.StartsUnits() {
		program, err := os.Executable()
		if err == nil {
			command := append([]string{program}, append(args, trial, strconv.Itoa(os.Getpid()))...)
			err = systemd.StartUnit(ctx, "farmc-confirm-"+trial, "Wait for farmc confirm", command)
		}
		if err == nil {
			return &confirmTimer{trial: trial, unit: true}, nil
		}
		c.log("the confirm timer is no unit of systemd: %v", err)
	}
	return startConfirmProcess(trial, append(args, trial))
}

// awaitArguments returns the command line of await without the trial.
func (c *call) awaitArguments() ([]string, error) {
	state, err := filepath.Abs(c.stateDir)
	if err != nil {
		return nil, err
	}
	args := []string{"await", "--state-dir", state}
	if c.insecure {
		args = append(args, "--insecure-permissions")
	}
	args = append(args, "--nft-limit", c.nftLimit.String())
	if c.nft == "" {
		return args, nil
	}
	program, err := exec.LookPath(c.nft)
	if err == nil {
		program, err = filepath.Abs(program)
	}
	return append(args, "--nft", program), err
}

func startConfirmProcess(trial string, args []string) (*confirmTimer, error) {
	input, start, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer input.Close()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Dir, cmd.Stdin = "/", input
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		start.Close()
		return nil, fmt.Errorf("cannot start the confirm timer: %w", err)
	}
	go cmd.Wait()
	return &confirmTimer{trial: trial, start: start}, nil
}

// log tells how to confirm, and what ends the protection.
func (w *confirmTimer) log(c *call, timeout time.Duration) {
	c.log("run farmc confirm, or the previous farms are restored in %s", timeout)
	if !w.unit {
		c.log("the confirm timer ends with the service or container that runs this command; " +
			"after that, farmc rollback restores")
	}
}

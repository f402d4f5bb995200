// Command vm runs a command on a Debian of its own: in a virtual machine with Debian's kernel, or on the kernel of this
// machine. make packets, make compare and make test-matrix use it, because this machine's kernel may lack modules, and
// because an emulated processor can count instructions.
//
// The programs and the libraries are a Debian that debootstrap makes once, in $XDG_CACHE_HOME/farmc-vm or
// /var/cache/farmc-vm, with a kernel that is unpacked and not installed. A command sees it with a layer in memory
// above, so all changes are gone afterwards. /work is the directory that -dir names, and the command's working
// directory: changes there remain. There is no network.
//
// Files: main.go (flags), debian.go (the Debian and its kernel), initramfs.go and guest.go (the first process of the
// machine: this program again), qemu.go (the machine), here.go (the same on this machine's kernel).
//
//	vm [-kernel bookworm] [-userland bookworm] [-count] [-memory 3G] [-limit 10m] [-dir .] COMMAND...
//
// The exit status is the command's, 77 if there can be no such machine here (a program or the network is missing), 124
// if the command took too long, and 125 if the machine failed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Exit statuses beside the command's own.
const (
	statusUnavailable = 77
	statusTooLong     = 124
	statusFailed      = 125
)

// A request is the machine that the flags describe, and the command for it.
type request struct {
	kernel   string // a release of Debian, or here
	userland string // a release of Debian
	count    bool   // the clock counts instructions
	memory   string
	cpus     int
	limit    time.Duration
	dir      string
	command  []string
}

// here is the kernel of this machine.
const here = "here"

func main() {
	if os.Getpid() == 1 && filepath.Base(os.Args[0]) == "init" {
		guest()
	}
	r := request{}
	flag.StringVar(&r.kernel, "kernel", "bookworm", "release of Debian with the kernel, or here: no virtual machine")
	flag.StringVar(&r.userland, "userland", "", "release of Debian with the programs (default: the kernel's)")
	flag.BoolVar(&r.count, "count", false, "clocks count instructions: one nanosecond each, on one emulated processor")
	flag.StringVar(&r.memory, "memory", "3G", "memory of the machine")
	flag.IntVar(&r.cpus, "cpus", 2, "number of processors; one with -count")
	flag.DurationVar(&r.limit, "limit", 10*time.Minute, "time for the command")
	flag.StringVar(&r.dir, "dir", ".", "directory that is /work")
	flag.Parse()
	r.command = flag.Args()
	status, err := run(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
	}
	os.Exit(status)
}

// errUnavailable is wrapped by errors of the place: something has to be installed, or the network is missing.
var errUnavailable = errors.New("no such machine here")

func run(r request) (status int, err error) {
	if err := r.complete(); err != nil {
		return 2, err
	}
	userland, kernel, err := r.prepare()
	if errors.Is(err, errUnavailable) {
		return statusUnavailable, err
	}
	if err != nil {
		return statusFailed, err
	}
	if r.kernel == here {
		return runHere(r, userland)
	}
	return boot(r, userland, kernel)
}

// complete checks the flags and fills the ones that depend on others.
func (r *request) complete() (err error) {
	if len(r.command) == 0 {
		return errors.New("a command is missing: vm [-kernel bookworm] [-userland bookworm] COMMAND [ARGUMENT]")
	}
	if r.userland == "" {
		r.userland = r.kernel
	}
	if r.count && r.kernel == here {
		return errors.New("-count needs a virtual machine: -kernel bookworm")
	}
	if err := errors.Join(known(r.userland), r.knownKernel()); err != nil {
		return err
	}
	if r.dir, err = filepath.Abs(r.dir); err != nil {
		return err
	}
	_, err = os.Stat(r.dir)
	return err
}

func (r *request) knownKernel() error {
	if r.kernel == here {
		return nil
	}
	return known(r.kernel)
}

// prepare makes the Debians that are not there yet.
func (r *request) prepare() (userland, kernel debian, err error) {
	if err := r.needPrograms(); err != nil {
		return "", "", err
	}
	if userland, err = prepare(r.userland); err != nil || r.kernel == here {
		return userland, "", err
	}
	kernel, err = prepare(r.kernel)
	return userland, kernel, err
}

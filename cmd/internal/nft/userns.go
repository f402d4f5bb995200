package nft

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A place is where nft runs: in the namespaces of this process, or apart in its own, where it is root and the
// devices and tables of this machine don't exist.
type place int

const (
	here place = iota
	apart
)

// Why a script that was to be judged apart wasn't.
var (
	errNoNamespace = errors.New("no user namespace without root on this machine")
	errNoDevices   = errors.New("without root the script's devices are not to be had")
)

func unasked(err error) bool {
	return errors.Is(err, errNoNamespace) || errors.Is(err, errNoDevices) ||
		errors.Is(err, ErrNotPermitted) || errors.Is(err, ErrTooLong)
}

// capable says whether this process may speak of the network's rules.
func capable() bool {
	var sets [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capget(&header, &sets[0]) == nil && sets[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}

// process puts nft where it is to run, and into a process group, so that a wrapper's children end with it. Where
// farmc has its capability without being root, a child gets it only as an ambient one.
func process(where place) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	switch {
	case where == apart:
		attr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNET
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	case os.Geteuid() != 0 && capable():
		attr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN}
	}
	return attr
}

// absent says whether a complaint is what the kernel says of a device that doesn't exist (of a flowtable's always, of
// a chain's at ingress Linux 6.1 but not 6.18), and then of all that needs the flowtable or chain it didn't make.
func absent(c Complaint) bool { return strings.Contains(c.Message, "No such file or directory") }

var hasDevices = regexp.MustCompile(`^\s*(add )?(flowtable|chain) `)

// excuse leaves out of a refusal what comes of the place rather than of the script.
func excuse(err error) error {
	var r *Refusal
	if !errors.As(err, &r) {
		return err
	}
	at := slices.IndexFunc(r.Complaints, func(c Complaint) bool {
		return absent(c) && hasDevices.MatchString(c.Excerpt)
	})
	if at < 0 {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(r.Complaints), absent)
	if len(kept) == 0 {
		return fmt.Errorf("%w (%v)", errNoDevices, r.Complaints[at])
	}
	return &Refusal{Complaints: kept, Output: r.Output}
}

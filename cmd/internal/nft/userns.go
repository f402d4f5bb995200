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

// namespaces are the namespaces in which nft runs: inherited from this process, or isolated. Isolated nft is root in a
// new user and network namespace, which has none of the machine's network interfaces and tables.
type namespaces int

const (
	inherited namespaces = iota
	isolated
)

// Reasons why an isolated nft could not check a script.
var (
	errNoNamespace = errors.New("no user namespace without root on this machine")
	errNoDevices   = errors.New("the script names network interfaces, which nft cannot see without root")
)

// couldNotAsk tells whether the error says nothing about the script.
func couldNotAsk(err error) bool {
	return errors.Is(err, errNoNamespace) || errors.Is(err, errNoDevices) ||
		errors.Is(err, ErrNotPermitted) || errors.Is(err, ErrTooLong)
}

// hasNetAdmin tells whether this process has CAP_NET_ADMIN.
func hasNetAdmin() bool {
	var sets [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capget(&header, &sets[0]) == nil && sets[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}

// sysProcAttr puts nft into its namespaces, and into a process group of its own, so that the children of a wrapper of
// nft can be killed with it. If farmc has CAP_NET_ADMIN without being root, a child gets it only as an ambient
// capability.
func sysProcAttr(where namespaces) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	switch {
	case where == isolated:
		attr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNET
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	case os.Geteuid() != 0 && hasNetAdmin():
		attr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN}
	}
	return attr
}

// isMissingObject tells whether a complaint may come from a network interface that does not exist. The kernel refuses a
// flow table with such a device, and Linux 6.1, but not 6.18, an ingress chain. Every statement that uses the flow
// table or the chain then fails with the same error.
func isMissingObject(c Complaint) bool {
	return strings.Contains(c.Message, "No such file or directory")
}

var declaresDevices = regexp.MustCompile(`^\s*(add )?(flowtable|chain) `)

// withoutNamespaceComplaints deletes the complaints of a refusal that come from the isolated namespace. If there are no
// others the error is errNoDevices.
func withoutNamespaceComplaints(err error) error {
	var r *Refusal
	if !errors.As(err, &r) {
		return err
	}
	at := slices.IndexFunc(r.Complaints, func(c Complaint) bool {
		return isMissingObject(c) && declaresDevices.MatchString(c.Excerpt)
	})
	if at < 0 {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(r.Complaints), isMissingObject)
	if len(kept) == 0 {
		return fmt.Errorf("%w (%v)", errNoDevices, r.Complaints[at])
	}
	return &Refusal{Complaints: kept, Output: r.Output}
}

package netlab

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// await waits until nothing is missing. The kernel does the last steps on its own, usually some microseconds after a
// link is up or has an address, but on a busy machine later than the first packet, which then waits for a second.
func (h *Host) await(missing func() (string, error)) error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond / 2) {
		what, err := missing()
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			what, err = "no end of changes", nil
		}
		if err != nil || what == "" {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %s", h.Name, what)
		}
	}
}

// tentative names an address that isn't found by its neighbours yet.
func (h *Host) tentative() (string, error) {
	addresses, err := h.net.AddrList(nil, netlink.FAMILY_V6)
	if err != nil {
		return "", err
	}
	for _, a := range addresses {
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			return fmt.Sprintf("%s is tentative", a.IP), nil
		}
	}
	return "", nil
}

// unconnected names a link that doesn't carry packets yet, or has no link-local address to ask for neighbours from.
func (h *Host) unconnected() (string, error) {
	links, err := h.net.LinkList()
	if err != nil {
		return "", err
	}
	for _, link := range links {
		name := link.Attrs().Name
		if name == "lo" {
			continue
		}
		if link.Attrs().OperState != netlink.OperUp {
			return name + " has no carrier", nil
		}
		if h == h.lab.wire {
			continue
		}
		addresses, err := h.net.AddrList(link, netlink.FAMILY_V6)
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(addresses, func(a netlink.Addr) bool { return a.IP.IsLinkLocalUnicast() }) {
			return name + " has no link-local address", nil
		}
	}
	return "", nil
}

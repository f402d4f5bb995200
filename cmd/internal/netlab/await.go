package netlab

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// await waits until missing finds no problem. The kernel finishes the configuration of a link asynchronously, usually
// some microseconds later, but on a busy machine later than the first packet, which is then delayed by a second.
func (h *Host) await(missing func() (string, error)) error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond / 2) {
		problem, err := missing()
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			problem, err = "links and addresses keep changing", nil
		}
		if err != nil || problem == "" {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %s", h.Name, problem)
		}
	}
}

// tentativeAddress names an address that does not answer neighbour solicitations yet.
func (h *Host) tentativeAddress() (string, error) {
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

// linkNotReady names a link without carrier, or without a link-local address for neighbour discovery.
func (h *Host) linkNotReady() (string, error) {
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
		if h == h.lab.switchHost {
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

package machine

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addresses are the addresses of this machine.
type addresses struct {
	permanent map[netip.Addr]bool
	only      map[int]netip.Addr // IPv6 address, by index of an interface that has no other one but its link-local
}

func readAddresses(kernel *netlink.Handle) addresses {
	out := addresses{map[netip.Addr]bool{}, map[int]netip.Addr{}}
	all, _ := kernel.AddrList(nil, netlink.FAMILY_ALL)
	for _, a := range all {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ip = ip.Unmap(); !ok {
			continue
		}
		if keeps(a.Flags, ip) {
			out.permanent[ip] = true
		}
		if _, second := out.only[a.LinkIndex]; ip.Is6() && !ip.IsLinkLocalUnicast() && second {
			out.only[a.LinkIndex] = netip.Addr{}
		} else if ip.Is6() && !ip.IsLinkLocalUnicast() {
			out.only[a.LinkIndex] = ip
		}
	}
	return out
}

// Addresses gives the addresses of this machine in order, but for loopback and link-local ones; none if the kernel does
// not tell.
func Addresses() (out []netip.Addr) {
	all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	for tries := 0; errors.Is(err, netlink.ErrDumpInterrupted) && tries < 10; tries++ {
		all, err = netlink.AddrList(nil, netlink.FAMILY_ALL)
	}
	if err != nil {
		return nil
	}
	for _, a := range all {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ip = ip.Unmap(); ok && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			out = append(out, ip)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// keeps reports whether the flags of an address say that the machine keeps it until an administrator removes it: it has
// no lifetime, and is in use. Addresses by DHCP and router advertisements have a lifetime. Backends on other links
// cannot answer a link-local address. IFA_F_TEMPORARY is IFA_F_SECONDARY in IPv4.
func keeps(flags int, a netip.Addr) bool {
	unused := unix.IFA_F_DEPRECATED | unix.IFA_F_TENTATIVE | unix.IFA_F_OPTIMISTIC | unix.IFA_F_DADFAILED
	if a.Is6() {
		unused |= unix.IFA_F_TEMPORARY
	}
	return flags&unix.IFA_F_PERMANENT != 0 && flags&unused == 0 && !a.IsLinkLocalUnicast() && !a.IsLoopback()
}

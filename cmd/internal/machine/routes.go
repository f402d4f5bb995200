package machine

import (
	"net/netip"

	"farmc/compiler/ruleset"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Routes asks the kernel for routes to backends. All questions share a socket. The zero Routes is ready for use; Close
// must be called at the end.
type Routes struct {
	kernel    *netlink.Handle // nil: nothing was asked yet
	permanent map[netip.Addr]bool
	names     map[int]string // of interfaces, by index
	err       error          // of the socket
}

// open opens the socket, and reads the addresses of this machine.
func (r *Routes) open() bool {
	if r.kernel == nil && r.err == nil {
		if r.kernel, r.err = netlink.NewHandle(unix.NETLINK_ROUTE); r.err == nil {
			r.permanent, r.names = permanentAddresses(r.kernel), interfaceNames(r.kernel)
		}
	}
	return r.err == nil
}

// Close closes the socket.
func (r *Routes) Close() {
	if r.kernel != nil {
		r.kernel.Close()
	}
}

// To gives the route to a backend on another machine, with the source address that it names if that is permanent. The
// zero Route stands for no route.
func (r *Routes) To(backend netip.Addr) ruleset.Route {
	if !r.open() {
		return ruleset.Route{}
	}
	found, err := r.kernel.RouteGet(backend.AsSlice())
	if err != nil || len(found) == 0 || found[0].Type != unix.RTN_UNICAST {
		return ruleset.Route{}
	}
	route := ruleset.Route{Interface: r.names[found[0].LinkIndex]}
	if source, ok := netip.AddrFromSlice(found[0].Src); ok && r.permanent[source.Unmap()] {
		route.Source = source.Unmap()
	}
	return route
}

// permanentAddresses are the addresses that this machine keeps until an administrator removes them: without a lifetime,
// and in use. Addresses by DHCP and router advertisements have a lifetime.
func permanentAddresses(kernel *netlink.Handle) map[netip.Addr]bool {
	permanent := map[netip.Addr]bool{}
	all, _ := kernel.AddrList(nil, netlink.FAMILY_ALL)
	for _, a := range all {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ok && keeps(a.Flags, ip.Unmap()) {
			permanent[ip.Unmap()] = true
		}
	}
	return permanent
}

// keeps reports whether the flags of an address say that the machine keeps it. Backends on other links cannot answer a
// link-local address. IFA_F_TEMPORARY is IFA_F_SECONDARY in IPv4.
func keeps(flags int, a netip.Addr) bool {
	unused := unix.IFA_F_DEPRECATED | unix.IFA_F_TENTATIVE | unix.IFA_F_OPTIMISTIC | unix.IFA_F_DADFAILED
	if a.Is6() {
		unused |= unix.IFA_F_TEMPORARY
	}
	return flags&unix.IFA_F_PERMANENT != 0 && flags&unused == 0 && !a.IsLinkLocalUnicast() && !a.IsLoopback()
}

func interfaceNames(kernel *netlink.Handle) map[int]string {
	names := map[int]string{}
	all, _ := kernel.LinkList()
	for _, l := range all {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return names
}

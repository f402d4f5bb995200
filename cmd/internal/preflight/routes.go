package preflight

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A destination is the kind of route that the kernel has for an address.
type destination int

const (
	unknown   destination = iota // the kernel could not be asked
	local                        // this machine
	onLink                       // a neighbour on a link
	elsewhere                    // a router, or no route
)

// routes looks up routes in the kernel's routing table. All lookups share a socket: with a socket for each lookup the
// addresses of 10,000 farms take twice as long. The zero value is ready to use.
type routes struct {
	kernel *netlink.Handle
	err    error
}

func (r *routes) close() {
	if r.kernel != nil {
		r.kernel.Close()
	}
}

func (r *routes) to(a netip.Addr) destination {
	if r.kernel == nil && r.err == nil {
		r.kernel, r.err = netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	if r.err != nil {
		return unknown
	}
	found, err := r.kernel.RouteGet(a.AsSlice())
	switch {
	case err == unix.ENETUNREACH || err == unix.EHOSTUNREACH || err == unix.EACCES || err == unix.EINVAL:
		return elsewhere
	case err != nil || len(found) == 0:
		return unknown
	}
	return destinationOf(found[0])
}

func destinationOf(route netlink.Route) destination {
	switch {
	case route.Type == unix.RTN_LOCAL:
		return local
	case route.Type == unix.RTN_UNICAST && route.Gw == nil && route.Via == nil:
		return onLink
	}
	return elsewhere
}

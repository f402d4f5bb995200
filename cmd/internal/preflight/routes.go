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
	elsewhere                    // a router
	nowhere                      // no route
)

// routes looks up routes in the kernel's routing table. All lookups share a socket: with a socket for each lookup the
// addresses of 10,000 farms take twice as long. The zero value is ready to use.
type routes struct {
	kernel *netlink.Handle
	known  map[netip.Addr]route
	err    error
}

func (r *routes) close() {
	if r.kernel != nil {
		r.kernel.Close()
	}
}

// A route is the kernel's answer for an address.
type route struct {
	kind destination
	link int        // index of the interface; 0: none
	next netip.Addr // the router, or the address itself; not valid: unknown
}

func (r *routes) to(a netip.Addr) destination { return r.lookUp(a).kind }

// lookUp asks once for each address.
func (r *routes) lookUp(a netip.Addr) route {
	if known, ok := r.known[a]; ok {
		return known
	}
	if r.known == nil {
		r.known = map[netip.Addr]route{}
	}
	r.known[a] = r.ask(a)
	return r.known[a]
}

func (r *routes) ask(a netip.Addr) route {
	if r.kernel == nil && r.err == nil {
		r.kernel, r.err = netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	if r.err != nil {
		return route{}
	}
	found, err := r.kernel.RouteGet(a.AsSlice())
	switch {
	case err == unix.ENETUNREACH || err == unix.EHOSTUNREACH || err == unix.EACCES || err == unix.EINVAL:
		return route{kind: nowhere}
	case err != nil || len(found) == 0:
		return route{}
	}
	next := a
	if router, ok := netip.AddrFromSlice(found[0].Gw); ok {
		next = router.Unmap()
	}
	return route{destinationOf(found[0]), found[0].LinkIndex, next}
}

func destinationOf(r netlink.Route) destination {
	switch {
	case r.Type == unix.RTN_LOCAL:
		return local
	case r.Type == unix.RTN_BLACKHOLE || r.Type == unix.RTN_UNREACHABLE || r.Type == unix.RTN_PROHIBIT:
		return nowhere
	case r.Type == unix.RTN_UNICAST && r.Gw == nil && r.Via == nil:
		return onLink
	}
	return elsewhere
}

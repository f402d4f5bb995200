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

// routes looks up routes. All questions to the kernel share a socket. The zero value is ready to use.
type routes struct {
	tables map[bool]*table // by whether the family is IPv6
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

// lookUp finds the route to an address in the tables, or asks the kernel once.
func (r *routes) lookUp(a netip.Addr) route {
	if r.known == nil {
		r.known = map[netip.Addr]route{}
		r.tables = map[bool]*table{false: readTable(netlink.FAMILY_V4), true: readTable(netlink.FAMILY_V6)}
	}
	if t := r.tables[a.Is6()]; t != nil {
		return t.lookUp(a)
	}
	known, ok := r.known[a]
	if !ok && len(r.known) < maxQuestions {
		known = r.ask(a)
		r.known[a] = known
	}
	return known
}

// maxQuestions is the maximum number of addresses of which the kernel is asked for routes. They take 0.2 s.
const maxQuestions = 5000

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

package preflight

import (
	"errors"
	"net/netip"

	network "farmc/cmd/internal/machine"

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

// routes looks up routes.
type routes struct{ kernel network.Routes }

// newRoutes returns routes with a limit: 5000 questions to the kernel take 0.2 s.
func newRoutes() routes { return routes{network.Routes{MaxQuestions: 5000}} }

func (r *routes) close() { r.kernel.Close() }

// A route is the kernel's answer for an address.
type route struct {
	kind destination
	link int        // index of the interface; 0: none
	next netip.Addr // the router, or the address itself; not valid: unknown
}

func (r *routes) to(a netip.Addr) destination { return r.lookUp(a).kind }

func (r *routes) lookUp(a netip.Addr) route {
	found, err := r.kernel.Get(a)
	switch {
	case isNoRoute(err):
		return route{kind: nowhere}
	case err != nil:
		return route{}
	}
	next := a
	if router, ok := netip.AddrFromSlice(found.Gw); ok {
		next = router.Unmap()
	}
	return route{destinationOf(found), found.LinkIndex, next}
}

// isNoRoute reports whether the kernel has no route, or one that refuses or drops packets.
func isNoRoute(err error) bool {
	for _, refusal := range []error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
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

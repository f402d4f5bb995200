package machine

import (
	"errors"
	"net/netip"

	"farmc/compiler/ruleset"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Routes asks the kernel for routes. It asks once for all addresses that no route tells apart: 100,000 questions take a
// second of processor time. All questions share a socket. The zero Routes is ready for use; Close must be called at the
// end.
type Routes struct {
	MaxQuestions int // 0: no limit

	kernel  *netlink.Handle // nil: nothing was asked yet
	err     error           // of the socket
	asked   int
	ranges  *ranges               // nil: the kernel is asked for each address
	byRange map[int]answer        // by index of the range
	byOne   map[netip.Addr]answer // of addresses whose range is not known

	addresses addresses
	names     map[int]string // of interfaces, by index
}

// An answer is the route to an address.
type answer struct {
	netlink.Route
	err error
}

// ErrTooManyQuestions reports that the kernel was asked MaxQuestions times.
var ErrTooManyQuestions = errors.New("too many questions for routes")

// open opens the socket, and reads the addresses of this machine and the ranges of its routes.
func (r *Routes) open() error {
	if r.kernel == nil && r.err == nil {
		if r.kernel, r.err = netlink.NewHandle(unix.NETLINK_ROUTE); r.err == nil {
			r.addresses, r.names = readAddresses(r.kernel), interfaceNames(r.kernel)
			r.ranges = readRanges()
			r.byRange, r.byOne = map[int]answer{}, map[netip.Addr]answer{}
		}
	}
	return r.err
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
	found, err := r.Get(backend)
	if err == nil && r.ranges != nil && r.differs(found) {
		found, err = r.ask(backend)
	}
	if err != nil || found.Type != unix.RTN_UNICAST {
		return ruleset.Route{}
	}
	route := ruleset.Route{Interface: r.names[found.LinkIndex]}
	if source, ok := netip.AddrFromSlice(found.Src); ok && r.addresses.permanent[source.Unmap()] {
		route.Source = source.Unmap()
	}
	return route
}

// Get gives the route to an address. Of a route with several next hops it gives any one. The error is the kernel's,
// such as unix.ENETUNREACH, or ErrTooManyQuestions.
func (r *Routes) Get(a netip.Addr) (netlink.Route, error) {
	if err := r.open(); err != nil {
		return netlink.Route{}, err
	}
	if r.ranges == nil {
		return remembered(r, r.byOne, a, a)
	}
	return remembered(r, r.byRange, r.ranges.of(a), a)
}

// InterfaceTo gives the interface that leads to an address; "" if none does, or if the text is no address.
func InterfaceTo(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	var r Routes
	defer r.Close()
	found, err := r.Get(a)
	if err != nil {
		return ""
	}
	return r.names[found.LinkIndex]
}

// remembered gives the answer with a key. The kernel is asked for the address if there is none.
func remembered[K comparable](r *Routes, answers map[K]answer, key K, a netip.Addr) (netlink.Route, error) {
	known, ok := answers[key]
	if !ok {
		known.Route, known.err = r.ask(a)
		answers[key] = known
	}
	return known.Route, known.err
}

func (r *Routes) ask(a netip.Addr) (netlink.Route, error) {
	if r.MaxQuestions > 0 && r.asked >= r.MaxQuestions {
		return netlink.Route{}, ErrTooManyQuestions
	}
	r.asked++
	found, err := r.kernel.RouteGet(a.AsSlice())
	if err != nil || len(found) == 0 {
		return netlink.Route{}, err
	}
	return found[0], nil
}

// differs reports whether the next hop or the source can be another one for other addresses of the same range. Among
// several next hops the kernel chooses by the address. So it does among the IPv6 addresses of an interface (RFC 6724).
func (r *Routes) differs(found netlink.Route) bool {
	source, ok := netip.AddrFromSlice(found.Src)
	return r.ranges.shared[nextHopOf(found)] || ok && source.Is6() && r.addresses.only[found.LinkIndex] != source
}

func interfaceNames(kernel *netlink.Handle) map[int]string {
	names := map[int]string{}
	all, _ := kernel.LinkList()
	for _, l := range all {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return names
}

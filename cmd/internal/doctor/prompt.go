package doctor

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Prompt has the kernel ask the links for the backends that it does not know, so that package preflight sees which of
// them do not answer, also without packets of clients. It does not wait for answers.
func Prompt(farms []*farm.Farm) {
	asked := map[netip.Addr]bool{}
	for _, f := range farms {
		for _, b := range f.Backends {
			for _, family := range addr.Families {
				a := b.Address[family]
				if !b.Address.Has(family) || b.MAC != "" || asked[a] {
					continue
				}
				if len(asked) == maxAsked {
					return
				}
				asked[a] = true
				prompt(a)
			}
		}
	}
}

// prompt has the kernel ask for the next hop of an address (NTF_USE). An entry of the next hop that the kernel has
// stays as it is.
func prompt(a netip.Addr) {
	routes, err := netlink.RouteGet(a.AsSlice())
	if err != nil || len(routes) == 0 {
		return
	}
	next := routes[0].Gw
	if next == nil {
		next = a.AsSlice()
	}
	netlink.NeighAdd(&netlink.Neigh{LinkIndex: routes[0].LinkIndex, Flags: netlink.NTF_USE, IP: next})
}

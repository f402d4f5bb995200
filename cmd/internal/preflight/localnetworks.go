package preflight

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// localNetworks finds networks of links that the kernel takes for addresses of this machine: by an address of IPv4 with
// a network on lo, such as 10.2.0.50/24, or by a local route. Packets to backends and clients in such a network do
// not leave this machine.
func (s *search) localNetworks() {
	for _, p := range localNetworks() {
		for _, o := range s.machine.networks {
			if p.Overlaps(o.Prefix) && s.machine.keeps(p, o.Masked()) {
				s.localNetwork(p, o)
				break
			}
		}
	}
}

// keeps reports whether packets to other machines in both networks stay on this machine. The kernel prefers the longer
// prefix, unless there are own rules for routes (ip rule).
func (m *machine) keeps(p, of netip.Prefix) bool {
	both := p
	if of.Bits() > p.Bits() {
		both = of
	}
	const asked = 8
	a := both.Addr()
	for range asked {
		if a = a.Next(); both.Contains(a) && m.own(a) == nil && m.routes.to(a) == local {
			return true
		}
	}
	return false
}

// localNetworks are the networks of IPv4 to which local routes lead.
func localNetworks() (all []netip.Prefix) {
	netlink.RouteListFilteredIter(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_LOCAL},
		netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
			if r.Type != unix.RTN_LOCAL || r.Dst == nil {
				return true
			}
			a, ok := netip.AddrFromSlice(r.Dst.IP)
			bits, _ := r.Dst.Mask.Size()
			if p := netip.PrefixFrom(a.Unmap(), bits); ok && !p.IsSingleIP() && !a.IsLoopback() {
				all = append(all, p)
			}
			return true
		})
	return all
}

// localNetwork adds the finding about a network of a link to each farm with packets on the link.
func (s *search) localNetwork(p netip.Prefix, of ownAddress) {
	found := Finding{Kind: "local-network", Object: p.String(), Effect: Stops,
		Message: fmt.Sprintf("this machine takes packets for %s, the network of %s, for its own", p, of.link)}
	for a, o := range s.machine.addresses {
		if o.link == "lo" && o.Masked() == p {
			found.Commands = []string{fmt.Sprintf("ip address add %s/%d dev lo", a, a.BitLen()),
				fmt.Sprintf("ip address delete %s dev lo", o.Prefix)}
			found.Advice = "the network configuration keeps it"
		}
	}
	if found.Commands == nil {
		found.Commands = []string{fmt.Sprintf("ip route delete local %s", p)}
		found.Advice = "a route for the addresses of the farms alone takes its place: ip route add local ADDRESS dev lo"
	}
	for _, f := range s.farms {
		switch {
		case !f.Listens(addr.IP4):
		case s.hasBackendIn(f, p):
			s.found.add(found, f)
		case slices.Contains(s.uplinks(f, addr.IP4), of.link): // clients behind a router are still served
			found := found
			found.Effect = Harms
			s.found.add(found, f)
		}
	}
}

// hasBackendIn reports whether a farm has a backend on another machine of a network.
func (s *search) hasBackendIn(f *farm.Farm, p netip.Prefix) bool {
	return slices.ContainsFunc(f.Backends, func(b farm.Backend) bool {
		a := b.Address[addr.IP4]
		return b.State == farm.Up && a.IsValid() && p.Contains(a) && s.machine.own(a) == nil &&
			s.machine.routes.to(a) == local
	})
}

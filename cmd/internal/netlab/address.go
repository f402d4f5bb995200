package netlab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddAddress adds an address to a link of the host, and waits until the host answers for it.
func (h *Host) AddAddress(link string, prefix netip.Prefix) error {
	if err := h.addAddress(link, prefix, false); err != nil {
		return err
	}
	return h.await(h.tentativeAddress)
}

// addAddress adds an address. The kernel does not use a spare one as a source by default (RFC 4862 calls it
// deprecated). Duplicate address detection is off, but IFA_F_NODAD is not set: the address is tentative until it
// answers neighbour solicitations, and await waits for that.
func (h *Host) addAddress(link string, prefix netip.Prefix, spare bool) error {
	on, err := h.net.LinkByName(link)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", link, h.Name, err)
	}
	address := &netlink.Addr{IPNet: ipNet(prefix)}
	if spare {
		address.ValidLft = forever
	}
	if err := h.net.AddrAdd(on, address); err != nil {
		return fmt.Errorf("%s on %s of %s: %w", prefix, link, h.Name, err)
	}
	return nil
}

const forever = 1<<32 - 1 // INFINITY_LIFE_TIME of include/net/addrconf.h

// AddRoute adds a route by way of a gateway.
func (h *Host) AddRoute(to netip.Prefix, via netip.Addr) error {
	return h.addRoute(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()})
}

// gateway adds the default routes, with the host's first addresses as sources.
func (h *Host) gateway(via4, via6 string) error {
	for _, r := range []struct {
		to, via string
		source  netip.Addr
	}{
		{"0.0.0.0/0", via4, h.IP4[0]},
		{"::/0", via6, h.IP6[0]},
	} {
		route := &netlink.Route{
			Dst: ipNet(netip.MustParsePrefix(r.to)),
			Gw:  netip.MustParseAddr(r.via).AsSlice(),
			Src: r.source.AsSlice(),
		}
		if err := h.addRoute(route); err != nil {
			return err
		}
	}
	return nil
}

// ownNetwork makes every address of a network a local address of the host.
func (h *Host) ownNetwork(prefix netip.Prefix) error {
	lo, err := h.net.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.addRoute(&netlink.Route{
		Dst:       ipNet(prefix),
		LinkIndex: lo.Attrs().Index,
		Type:      unix.RTN_LOCAL,
		Table:     unix.RT_TABLE_LOCAL,
		Scope:     netlink.SCOPE_HOST,
	})
}

func (h *Host) addRoute(route *netlink.Route) error {
	if err := h.net.RouteAdd(route); err != nil {
		return fmt.Errorf("route to %s on %s: %w", route.Dst, h.Name, err)
	}
	return nil
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"farmc/cmd/internal/preflight"
	"farmc/compiler/farm"
)

// packetSizes finds links of backends that take smaller packets than the links of clients. Frames that a farm hands on
// at ingress are not fragmented, and no router tells the client (ICMP, fragmentation needed).
func packetSizes(farms []*farm.Farm) (found preflight.Findings) {
	for _, f := range farms {
		if !f.Mode.Untracked() {
			continue
		}
		for _, in := range f.Interfaces {
			for _, b := range f.Backends {
				if out := f.InterfaceOf(b); mtu(out) > 0 && mtu(in) > mtu(out) {
					found = join(found, sizeFinding(f.Name, in, out))
				}
			}
		}
	}
	return found
}

func sizeFinding(name, in, out string) *preflight.Finding {
	return &preflight.Finding{Kind: "mtu", Object: out, Farms: []string{name}, Effect: preflight.Harms,
		Message: fmt.Sprintf("packets of up to %d bytes come in by %s, and %s takes at most %d: larger ones are lost",
			mtu(in), in, out, mtu(out)),
		Commands: []string{fmt.Sprintf("ip link set dev %s mtu %d", out, mtu(in))},
		Advice:   "the backends and switches on that link must take such packets, too"}
}

// join adds a finding, or its farm to the one of the same identity.
func join(found preflight.Findings, f *preflight.Finding) preflight.Findings {
	i := slices.IndexFunc(found, func(o *preflight.Finding) bool { return o.ID() == f.ID() })
	if i < 0 {
		return append(found, f)
	}
	if !slices.Contains(found[i].Farms, f.Farms[0]) {
		found[i].Farms = append(found[i].Farms, f.Farms[0])
	}
	return found
}

// mtu returns the size of the largest packet of an interface, in bytes; 0 if there is none of that name.
func mtu(name string) int {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return 0
	}
	return link.Attrs().MTU
}

// hardwareAddress returns the address of a neighbour, as the kernel knows it; "" if it does not.
func hardwareAddress(name string, of netip.Addr) string {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return ""
	}
	neighbours, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_ALL)
	if err != nil {
		return ""
	}
	for _, n := range neighbours {
		if a, _ := netip.AddrFromSlice(n.IP); a.Unmap() == of {
			return n.HardwareAddr.String()
		}
	}
	return ""
}

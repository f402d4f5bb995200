package preflight

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"farmc/cmd/internal/foreign"
	"farmc/cmd/internal/shell"
	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A machine is the state of this machine's network, read once.
type machine struct {
	routes    routes
	links     map[string]netlink.Link
	names     map[int]string // of the links, by index
	addresses map[netip.Addr]ownAddress
	holders   map[netip.Addr][]string // the interfaces that have an address
	networks  []ownAddress            // addresses with a connected network
	gateways  []string                // interfaces with a route by a router, in the order of the routes
	defaults4 []netlink.Route
	defaults6 []netlink.Route
	rules     *foreign.Ruleset
	sysctls   map[string]string // of the interfaces that were read, by path
	unmarked  map[addr.Family]marks
}

// An ownAddress is an address of an interface, with its network.
type ownAddress struct {
	netip.Prefix
	link  string
	flags int // unix.IFA_F_*
}

// readMachine reads interfaces, addresses and routes. Parts that the kernel does not tell stay empty.
func readMachine() *machine {
	m := &machine{routes: newRoutes(), links: map[string]netlink.Link{}, names: map[int]string{},
		addresses: map[netip.Addr]ownAddress{}, holders: map[netip.Addr][]string{}, unmarked: map[addr.Family]marks{}}
	links, _ := netlink.LinkList()
	for _, l := range links {
		m.links[l.Attrs().Name], m.names[l.Attrs().Index] = l, l.Attrs().Name
	}
	addresses, _ := netlink.AddrList(nil, netlink.FAMILY_ALL)
	for _, a := range addresses {
		ip, ok := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		if !ok {
			continue
		}
		own := ownAddress{netip.PrefixFrom(ip.Unmap(), bits), m.names[a.LinkIndex], a.Flags}
		m.addresses[own.Addr()] = own
		m.holders[own.Addr()] = append(m.holders[own.Addr()], own.link)
		if !own.IsSingleIP() && own.link != "lo" {
			m.networks = append(m.networks, own)
		}
	}
	m.readRoutes()
	return m
}

// maxRoutes is the maximum number of routes that are searched for routers. A router with the routes of the internet has
// a million.
const maxRoutes = 1000

func (m *machine) readRoutes() {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		n := 0
		netlink.RouteListFilteredIter(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE,
			func(r netlink.Route) bool {
				if name := m.names[r.LinkIndex]; r.Gw != nil && name != "" && !slices.Contains(m.gateways, name) {
					m.gateways = append(m.gateways, name)
				}
				switch {
				case isDefault(r.Dst) && family == netlink.FAMILY_V6:
					m.defaults6 = append(m.defaults6, r)
				case isDefault(r.Dst):
					m.defaults4 = append(m.defaults4, r)
				}
				n++
				return n < maxRoutes
			})
	}
}

func isDefault(network *net.IPNet) bool {
	if network == nil {
		return true
	}
	bits, _ := network.Mask.Size()
	return bits == 0
}

func (m *machine) readRules(ctx context.Context) (err error) {
	if m.rules, err = foreign.Read(ctx); err != nil {
		return err
	}
	for name, l := range m.links {
		m.rules.Links[name] = linkOf(l)
	}
	return nil
}

// linkOf is a link as rules see it.
func linkOf(l netlink.Link) foreign.Link {
	types := map[string]uint16{"ether": unix.ARPHRD_ETHER, "loopback": unix.ARPHRD_LOOPBACK, "ppp": unix.ARPHRD_PPP,
		"none": unix.ARPHRD_NONE}
	out := foreign.Link{Index: l.Attrs().Index, Group: l.Attrs().Group, Type: types[l.Attrs().EncapType]}
	if l.Type() != "device" {
		out.Kind = l.Type()
	}
	return out
}

// own returns the entry of an address of this machine; nil if no interface has it.
func (m *machine) own(a netip.Addr) *ownAddress {
	if o, ok := m.addresses[a]; ok {
		return &o
	}
	return nil
}

// has reports whether an interface has an address by which other machines reach this one.
func (m *machine) has(a netip.Addr) bool {
	return m.own(a) != nil && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// connected returns the interface of a connected network with the address; "" if there is none.
func (m *machine) connected(a netip.Addr) string {
	for _, o := range m.networks {
		if o.Contains(a) {
			return o.link
		}
	}
	return ""
}

// anyAddress is the address of this machine that another machine would ask for, the smallest of all; not valid if there
// is none.
func (m *machine) anyAddress(family addr.Family) (first netip.Addr) {
	for a, o := range m.addresses {
		if (family == addr.IP4) == a.Is4() && o.link != "lo" && !a.IsLinkLocalUnicast() &&
			(!first.IsValid() || a.Less(first)) {
			first = a
		}
	}
	return first
}

// clientLinks returns the interfaces by which packets of clients may come in: the farm's own; else the interfaces
// to routers, and the interface in the network of the service's address; else all.
func (m *machine) clientLinks(f *farm.Farm, service netip.Addr) []string {
	names := slices.DeleteFunc(slices.Clone(f.Interfaces), func(name string) bool { return m.links[name] == nil })
	if len(f.Interfaces) > 0 {
		return names
	}
	names = slices.Clone(m.gateways)
	if on := m.connected(service); on != "" && !slices.Contains(names, on) {
		names = append(names, on)
	}
	if len(names) > 0 {
		return names
	}
	for name, l := range m.links {
		if l.Attrs().Flags&(net.FlagLoopback|net.FlagUp) == net.FlagUp {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sysctl reads a kernel parameter of this network namespace, named by its path; "" if there is none.
func sysctl(path string) string {
	text, _ := os.ReadFile("/proc/sys/" + path)
	return strings.TrimSpace(string(text))
}

// setSysctl is the command that sets a kernel parameter. A path with a dot, of a VLAN interface, is written with
// slashes.
func setSysctl(path, value string) string {
	if !strings.Contains(path, ".") {
		path = strings.ReplaceAll(path, "/", ".")
	}
	return "sysctl -w " + shell.Quote(path) + "=" + value
}

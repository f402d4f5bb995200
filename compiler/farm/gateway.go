package farm

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A Gateway is the next hop of replies to the clients in a network, on the link of the farm's interface.
type Gateway struct {
	Network netip.Prefix // of the clients
	Address netip.Addr   // not valid: the clients are on the link

	place diag.Place
}

// onLink is the word for clients on the link.
const onLink = "on-link"

// NextHop is the address of the gateway, or "on-link".
func (g Gateway) NextHop() string {
	if !g.Address.IsValid() {
		return onLink
	}
	return g.Address.String()
}

// String writes the gateway as "10.0.0.0/8=10.1.0.3"; of all clients as "10.1.0.2".
func (g Gateway) String() string {
	if g.Network.Bits() == 0 && g.Address.IsValid() {
		return g.NextHop()
	}
	return g.Network.String() + "=" + g.NextHop()
}

func (g Gateway) family() addr.Family { return addr.FamilyOf(g.Network.Addr()) }

// maxGateways is the largest number of networks with a gateway: each kind of replies has a chain for each next hop.
const maxGateways = 64

const gatewayHint = `the router that leads to the clients: gateway = "10.1.0.2"; or "on-link"; or next hops by the ` +
	`networks of clients: gateway = { "10.0.0.0/8" = "10.1.0.3" }`

// readGateway reads a next hop, one for each family, or a table from networks of clients to next hops.
func readGateway(t *toml.Table, f *Farm) {
	if in := t.Table("gateway"); in != nil {
		f.readGatewayTable(t)
	} else {
		f.readGatewayWords(t)
	}
	slices.SortFunc(f.Gateways, func(a, b Gateway) int {
		return cmp.Or(cmp.Compare(a.family(), b.family()), a.Network.Addr().Compare(b.Network.Addr()),
			cmp.Compare(a.Network.Bits(), b.Network.Bits()))
	})
}

// readGatewayWords reads next hops for all clients of a family. The word on-link stands for the families that have no
// address.
func (f *Farm) readGatewayWords(t *toml.Table) {
	var link []toml.Word
	for _, w := range t.Words("gateway") {
		if w.Text == onLink {
			link = append(link, w)
			continue
		}
		if a, ok := parseNextHop(t, w); ok {
			f.addGateway(t, Gateway{netip.PrefixFrom(unspecified(addr.FamilyOf(a)), 0), a, w.Place})
		}
	}
	for _, w := range link {
		f.addOnLink(t, w)
	}
}

// addOnLink has the clients of the families without a gateway on the link.
func (f *Farm) addOnLink(t *toml.Table, w toml.Word) {
	added := false
	for _, family := range addr.Families {
		all := netip.PrefixFrom(unspecified(family), 0)
		if f.gatewayIndex(all) < 0 {
			f.addGateway(t, Gateway{Network: all, place: w.Place})
			added = true
		}
	}
	if !added {
		t.Fault(w.Place, "", "gateway: each family has a next hop, so %s has no effect", onLink)
	}
}

// readGatewayTable reads a table from networks of clients to next hops.
func (f *Farm) readGatewayTable(t *toml.Table) {
	entries := t.Entries("gateway")
	if len(entries) == 0 && len(t.Table("gateway").Keys()) == 0 {
		t.Fault(t.At("gateway"), gatewayHint, "gateway needs at least one network")
	}
	for i, e := range entries {
		if i == maxGateways {
			t.Fault(e.Key.Place, "", "gateway: more than %d networks", maxGateways)
			return
		}
		network, ok := parseClientNetwork(e.Key.Text)
		if !ok {
			t.Fault(e.Key.Place, gatewayHint, "gateway: %q is not a network", e.Key.Text)
			continue
		}
		g := Gateway{Network: network, place: e.Key.Place}
		if e.Value.Text != onLink {
			if g.Address, ok = parseNextHop(t, e.Value); !ok {
				continue
			}
		}
		f.addGateway(t, g)
	}
}

func parseClientNetwork(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" && !a.Is4In6() {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err == nil && !p.Addr().Is4In6()
}

// parseNextHop reads the address of a router.
func parseNextHop(t *toml.Table, w toml.Word) (netip.Addr, bool) {
	a, err := netip.ParseAddr(w.Text)
	switch {
	case err != nil || a.Zone() != "" || a.Is4In6():
		t.Fault(w.Place, gatewayHint, "gateway: %q is not an address, and not %s", w.Text, onLink)
	case a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		t.Fault(w.Place, gatewayHint, "gateway: %s can't be the address of a router", a)
	default:
		return a, true
	}
	return netip.Addr{}, false
}

// addGateway adds a next hop, unless its network has one, or is of the other family.
func (f *Farm) addGateway(t *toml.Table, g Gateway) {
	if g.Address.IsValid() && addr.FamilyOf(g.Address) != g.family() {
		t.Fault(g.place, "", "gateway: %s is of another family than %s", g.Address, g.Network)
		return
	}
	if i := f.gatewayIndex(g.Network); i >= 0 {
		t.FaultWithNote(g.place, diag.Note{Place: f.Gateways[i].place, Message: "the other one"},
			"gateway: %s has two next hops", clientsOfNetwork(g.Network))
		return
	}
	f.Gateways = append(f.Gateways, g)
}

func (f *Farm) gatewayIndex(network netip.Prefix) int {
	return slices.IndexFunc(f.Gateways, func(g Gateway) bool { return g.Network == network })
}

// clientsOfNetwork names a network; all clients of a family by the family.
func clientsOfNetwork(p netip.Prefix) string {
	if p.Bits() == 0 {
		return addr.FamilyOf(p.Addr()).String()
	}
	return p.String()
}

func unspecified(family addr.Family) netip.Addr {
	return [...]netip.Addr{addr.IP4: netip.IPv4Unspecified(), addr.IP6: netip.IPv6Unspecified()}[family]
}

func (f *Farm) gateways() string {
	words := make([]string, len(f.Gateways))
	for i, g := range f.Gateways {
		words[i] = g.String()
	}
	return strings.Join(words, ", ")
}

// GatewaysOf gives the next hops of replies to clients of the family, by network.
func (f *Farm) GatewaysOf(family addr.Family) (out []Gateway) {
	for _, g := range f.Gateways {
		if g.family() == family {
			out = append(out, g)
		}
	}
	return out
}

// GatewayTo gives the next hop of replies to a client: that of the smallest network that has the client.
func (f *Farm) GatewayTo(client netip.Addr) (out Gateway, ok bool) {
	for _, g := range f.Gateways {
		if g.Network.Contains(client) && (!ok || g.Network.Bits() > out.Network.Bits()) {
			out, ok = g, true
		}
	}
	return out, ok
}

// validateGateway refuses next hops that no reply can take.
func validateGateway(t *toml.Table, f *Farm) {
	if len(f.Gateways) == 0 || f.Mode != Stateless {
		return
	}
	switch {
	case len(f.Interfaces) == 0 && !t.Has("interfaces"):
		t.Fault(t.At("gateway"), `interfaces = ["eth0"]`,
			"gateway has no effect without interfaces: replies leave by the one on which requests arrive")
	case len(f.Interfaces) > 1:
		t.Fault(t.At("gateway"), "a farm for each interface",
			"gateway: the farm has several interfaces, and its replies could leave by one alone")
	}
	for _, g := range f.Gateways {
		if len(f.Listen) > 0 && !f.Listens(g.family()) && g.Address.IsValid() {
			t.Fault(g.place, "", "gateway: the farm does not listen on %s, so %s has no effect", g.family(), g.Address)
		}
		if g.Address.IsValid() && f.listensAt(g.Address) {
			t.Fault(g.place, gatewayHint, "gateway: %s is an address of the farm itself", g.Address)
		}
	}
}

// listensAt reports whether the address is one that clients of the farm ask for.
func (f *Farm) listensAt(a netip.Addr) bool {
	return slices.ContainsFunc(f.Listen, func(l Listen) bool { return l.Address == a })
}

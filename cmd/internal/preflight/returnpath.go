package preflight

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
)

// strictLinks finds interfaces at which the kernel drops packets of clients or backends, because its route to the
// sender leads out of another interface (rp_filter). The kernel is asked about clients, because more than default
// routes decides: a VPN adds routes to both halves of the internet, or a table of its own. On a machine with own rules
// for routes (ip rule) it is asked about each farm, and about backends.
func (s *search) strictLinks() {
	uplinks := s.strictUplinks()
	ownRules := hasOwnRules(addr.IP4)
	asked := map[uplinkQuestion]bool{}
	for _, f := range s.farms {
		if f.Mode == farm.DSR || f.Mode == farm.Stateless && len(f.Interfaces) > 0 || !f.Listens(addr.IP4) {
			continue
		}
		for _, name := range uplinks {
			if servesOthers(f, addr.IP4) && (len(f.Interfaces) == 0 || slices.Contains(f.Interfaces, name)) &&
				s.refusesClients(name, f, ownRules, asked) {
				s.found.add(s.strict(name, "clients"), f)
			}
		}
		for i := range f.Backends {
			b := &f.Backends[i]
			if b.State != farm.Up {
				continue
			}
			if name := s.otherLink(b); name != "" &&
				(!ownRules || s.refuses(name, b.Address[addr.IP4], farAway[0])) {
				s.found.add(s.strict(name, "backends"), f)
			}
		}
	}
}

// farAway are addresses of clients to which only default routes lead, or routes to a half of the internet.
var farAway = []netip.Addr{
	netip.MustParseAddr("192.88.99.2"), // of a network that is in use nowhere (RFC 7526)
	netip.MustParseAddr("23.88.99.2"),
}

// An uplinkQuestion is an interface, and a destination if the answer depends on it.
type uplinkQuestion struct {
	link string
	to   netip.Addr
}

// refusesClients asks the kernel whether it drops packets of clients that come in at an interface. When it looks for
// the route to the sender, farmc's rules have translated the destination. That matters for rules of routes alone.
func (s *search) refusesClients(name string, f *farm.Farm, ownRules bool, asked map[uplinkQuestion]bool) bool {
	to := servingAddress(f)
	if !to.IsValid() || !s.forwardsFrom(name, addr.IP4) {
		return false
	}
	q := uplinkQuestion{link: name}
	if ownRules {
		q.to = to
	}
	refused, known := asked[q]
	if known || len(asked) >= maxRoutedFarms || s.machine.routes.to(to) == nowhere {
		return refused
	}
	asked[q] = slices.ContainsFunc(farAway, func(from netip.Addr) bool { return s.refuses(name, from, to) })
	return asked[q]
}

// servingAddress is the destination of packets of clients behind farmc's rules; not valid if there is none.
func servingAddress(f *farm.Farm) netip.Addr {
	if f.Mode == farm.Local {
		i := slices.IndexFunc(f.Listen, func(l farm.Listen) bool { return l.Address.Is4() })
		if i < 0 {
			return netip.Addr{}
		}
		return f.Listen[i].Address
	}
	if serving := f.Serving(addr.IP4); len(serving) > 0 {
		return serving[0].Address[addr.IP4]
	}
	return netip.Addr{}
}

// refuses asks the kernel whether it drops packets that come in at an interface, and takes them at another one.
func (s *search) refuses(name string, from, to netip.Addr) bool {
	if takes(name, from, to) {
		return false
	}
	for other := range s.machine.links {
		if other != name && other != "lo" && takes(other, from, to) {
			return true
		}
	}
	return false
}

// takes reports whether the kernel has a route for packets that come in at an interface.
func takes(name string, from, to netip.Addr) bool {
	_, err := netlink.RouteGetWithOptions(to.AsSlice(),
		&netlink.RouteGetOptions{Iif: name, SrcAddr: from.AsSlice()})
	return err == nil
}

// strict is the finding about an interface that drops packets of senders.
func (s *search) strict(name, senders string) Finding {
	return Finding{Kind: "rp-filter", Object: name, Effect: Harms,
		Message: fmt.Sprintf("%s drops packets of %s to which the route leads out of another interface (rp_filter)",
			name, senders),
		Commands: []string{setSysctl("net/ipv4/conf/"+name+"/rp_filter", "2")},
		Advice: "from then on the interface takes packets from every address to which there is a route; " +
			"a file in /etc/sysctl.d keeps it"}
}

// isStrict reports whether an interface checks that the route to a sender leads out of it.
func (s *search) isStrict(name string) bool { return s.linkSetting(name, "rp_filter") == 1 }

// strictUplinks are the strict interfaces with a default route: clients that are far away come in there.
func (s *search) strictUplinks() (names []string) {
	for _, r := range s.machine.defaults4 {
		name := s.machine.names[r.LinkIndex]
		if name != "" && s.isStrict(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// otherLink is a strict interface in the network of a backend that is not the one of the route to it; "" if there is
// none. The backend may send its answers there, because this machine answers ARP requests at both.
func (s *search) otherLink(b *farm.Backend) string {
	a := b.Address[addr.IP4]
	if !a.IsValid() {
		return ""
	}
	r := s.machine.routes.lookUp(a)
	for _, o := range s.machine.networks {
		if r.kind == onLink && o.Contains(a) && o.link != s.machine.names[r.link] && s.isStrict(o.link) {
			return o.link
		}
	}
	return ""
}

// redirects finds links with both clients and backends on which the kernel tells backends of mode stateless to send
// their answers past this machine, to the router of the clients. Then nothing translates the answers back. Connection
// tracking drops redirects about packets that it translates.
func (s *search) redirects() {
	for _, f := range s.farms {
		if f.Mode != farm.Stateless || !f.Listens(addr.IP4) {
			continue
		}
		clients := s.machine.clientLinks(f, f.Listen[0].Address)
		for _, b := range f.Backends {
			if b.State != farm.Up || !b.Address.Has(addr.IP4) {
				continue
			}
			r := s.machine.routes.lookUp(b.Address[addr.IP4])
			name := s.machine.names[r.link]
			if r.kind != local && slices.Contains(clients, name) && s.linkSetting(name, "send_redirects") > 0 {
				s.found.add(s.redirecting(name), f)
			}
		}
	}
}

// redirecting has a command for each parameter that is set, because one of them is enough for the kernel.
func (s *search) redirecting(name string) Finding {
	f := Finding{Kind: "redirects", Object: name, Effect: Harms,
		Message: fmt.Sprintf("this machine tells backends on %s to send their answers past it (send_redirects)", name),
		Advice: "machines on the link then send all packets for other networks by this machine; " +
			"backends forget within minutes; a file in /etc/sysctl.d keeps it"}
	for _, part := range []string{"all", name} {
		if path := "net/ipv4/conf/" + part + "/send_redirects"; s.linkSysctl(path) == "1" {
			f.Commands = append(f.Commands, setSysctl(path, "0"))
		}
	}
	return f
}

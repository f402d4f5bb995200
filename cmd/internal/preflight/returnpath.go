package preflight

import (
	"fmt"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
)

// strictLinks finds interfaces at which the kernel drops packets of clients or backends, because its route to the
// sender leads out of another interface (rp_filter). It takes the routes of the main table, so a machine with rules of
// its own for routes has no finding.
func (s *search) strictLinks() {
	strict := s.otherUplinks()
	rules, err := netlink.RuleList(netlink.FAMILY_V4)
	if err != nil || len(rules) > 3 { // local, main and default
		return
	}
	for _, f := range s.farms {
		if f.Mode == farm.DSR || f.Mode == farm.Stateless && len(f.Interfaces) > 0 || !f.Listens(addr.IP4) {
			continue
		}
		for _, name := range strict {
			if len(f.Interfaces) == 0 || slices.Contains(f.Interfaces, name) {
				s.found.add(s.strict(name, "clients"), f)
			}
		}
		for _, b := range f.Backends {
			if name := s.otherLink(b); name != "" && b.State == farm.Up {
				s.found.add(s.strict(name, "backends"), f)
			}
		}
	}
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

// otherUplinks are the strict interfaces with a default route that is not the best one.
func (s *search) otherUplinks() (names []string) {
	if len(s.machine.defaults4) < 2 {
		return nil
	}
	first := slices.MinFunc(s.machine.defaults4, func(a, b netlink.Route) int { return a.Priority - b.Priority })
	best := s.machine.names[first.LinkIndex]
	for _, r := range s.machine.defaults4 {
		name := s.machine.names[r.LinkIndex]
		if name != "" && name != best && s.isStrict(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// otherLink is a strict interface in the network of a backend that is not the one of the route to it; "" if there is
// none. The backend may send its answers there, because this machine answers ARP requests at both.
func (s *search) otherLink(b farm.Backend) string {
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

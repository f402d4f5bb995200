package preflight

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/cmd/internal/shell"
	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

// addresses finds services at an address that this machine does not have, or cannot use. Routers know a way to the
// addresses of farms with announce.
func (s *search) addresses() {
	seen := map[netip.Prefix]*Finding{}
	for _, f := range s.farms {
		for _, l := range f.Listen {
			if !l.Address.IsValid() {
				continue
			}
			if b := s.machine.ownBackend(f, l); b != nil {
				s.ownShare(f, l, b)
				continue
			}
			if f.Announce != farm.NotAnnounced {
				continue
			}
			found, ok := seen[l.Network()]
			if !ok && l.Bits > 0 {
				found = s.network(l)
			} else if !ok {
				found = s.address(l)
			}
			seen[l.Network()] = found
			switch {
			case found == nil:
			case found.Kind == "address" && f.Limits.Synproxy.On:
				s.found.add(withoutCookies(l), f)
			default:
				s.found.add(*found, f)
			}
		}
	}
}

// vrrpAdvice takes the interface. It names no command: two machines that have the address both answer ARP.
const vrrpAdvice = "right on a VRRP backup; else give the address to %s, unless another machine has it"

// address returns the finding about an address; nil if this machine can use it.
func (s *search) address(l farm.Listen) *Finding {
	a := l.Address
	if o := s.machine.own(a); o != nil {
		if found := unusable(*o, l); found != nil {
			return found
		}
		return s.unanswered(*o, l)
	}
	if s.machine.routes.to(a) == local { // a local route of a whole network
		return nil
	}
	f := &Finding{Kind: "address", Object: a.String(), Effect: Harms, Place: l.Place}
	if link := s.machine.connected(a); link != "" {
		f.Message = fmt.Sprintf(
			"no interface of this machine has %s, so no host on the link of %s sends packets for it here",
			a, link)
		f.Advice = fmt.Sprintf(vrrpAdvice, link)
		return f
	}
	f.Message = fmt.Sprintf("not an address of this machine: %s; packets arrive only if a router sends them here", a)
	f.Commands = []string{fmt.Sprintf("ip address add %s/%d dev lo", a, a.BitLen())}
	f.Advice = "not needed if a router sends the packets here; until the next boot"
	return f
}

// ownBackend returns the backend of a dsr farm that is this machine; nil if there is none that is up.
func (m *machine) ownBackend(f *farm.Farm, l farm.Listen) *farm.Backend {
	if f.Mode != farm.DSR {
		return nil
	}
	for i := range f.Backends {
		b := &f.Backends[i]
		if b.State == farm.Up && m.has(b.Address[addr.FamilyOf(l.Address)]) {
			return b
		}
	}
	return nil
}

// ownShare finds that this machine lacks an address of a service that it serves as a backend. Whether it answers ARP
// for the address is not known: another balancer may do so.
func (s *search) ownShare(f *farm.Farm, l farm.Listen, b *farm.Backend) {
	if o := s.machine.own(l.Address); o != nil && l.Bits == 0 {
		if found := unusable(*o, l); found != nil {
			s.found.add(*found, f)
		}
		return
	}
	if s.machine.hasAll(l.Network()) {
		return
	}
	service, command := l.Address.String(), "ip address add %s dev lo"
	if l.Bits > 0 {
		service, command = l.Network().String(), "ip route add local %s dev lo"
	}
	found := Finding{Kind: "own-share", Object: service, Effect: Harms, Place: b.Place,
		Message: fmt.Sprintf("backend %s is this machine, which does not have %s, so it does not answer its share of "+
			"clients", b.Name, service),
		Commands: []string{fmt.Sprintf(command, l.Network())},
		Advice: "until the next boot; if another balancer has the address, set arp_ignore and arp_announce first: " +
			"farmc doctor --backend " + f.Name}
	if alone(f) {
		found.Effect = Stops
	}
	s.found.add(found, f)
}

// network returns the finding about a network of services; nil if this machine has all of its addresses.
func (s *search) network(l farm.Listen) *Finding {
	p := l.Network()
	if s.machine.hasAll(p) {
		return nil
	}
	f := &Finding{Kind: "address", Object: p.String(), Effect: Harms, Place: l.Place,
		Commands: []string{fmt.Sprintf("ip route add local %s dev lo", p)},
		Message: fmt.Sprintf("this machine does not have all addresses of %s; packets arrive only if a router sends "+
			"them here", p),
		Advice: "not needed if a router sends the packets here; until the next boot"}
	if link := s.machine.connected(p.Addr()); link != "" {
		f.Message = fmt.Sprintf("this machine does not have all addresses of %s, so no host on the link of %s sends "+
			"packets for the others here", p, link)
		f.Advice = "with this route the machine answers ARP for each of them, also for addresses of other machines; " +
			"until the next boot"
		if p.Addr().Is6() {
			f.Commands = nil
			f.Advice = fmt.Sprintf("give the addresses to %s one by one, or have a router send the network here", link)
		}
	}
	return f
}

// withoutCookies is the finding about an address that this machine does not have, of a farm with synproxy. The kernel
// answers SYNs to its own addresses alone.
func withoutCookies(l farm.Listen) Finding {
	p := l.Network()
	return Finding{Kind: "synproxy", Object: p.String(), Effect: Harms, Place: l.Place,
		Message:  fmt.Sprintf("%s is not of this machine, so no SYN to it is answered with a cookie", p),
		Commands: []string{fmt.Sprintf("ip route add local %s dev lo", p)},
		Advice:   "right on a VRRP backup; until the next boot"}
}

// maxLookUps is the number of addresses of a network that are looked up.
const maxLookUps = 64

// hasAll reports whether this machine has the addresses of a network: the first ones, and the last one.
func (m *machine) hasAll(p netip.Prefix) bool {
	a := p.Addr()
	for range maxLookUps {
		if !p.Contains(a) {
			return true
		}
		if m.routes.to(a) != local {
			return false
		}
		a = a.Next()
	}
	return m.routes.to(addr.Last(p)) == local
}

// unusable returns the finding about an address that duplicate address detection holds back.
func unusable(o ownAddress, l farm.Listen) *Finding {
	f := &Finding{Kind: "duplicate", Object: o.Addr().String(), Effect: Stops, Place: l.Place}
	again := fmt.Sprintf("ip address replace %s dev %s nodad", o.Prefix, shell.Quote(o.link))
	switch {
	case o.flags&unix.IFA_F_DADFAILED != 0:
		f.Message = fmt.Sprintf("another machine on the link of %s has %s, so this machine does not use it (dadfailed)",
			o.link, o.Addr())
		f.Advice = "take the address from the other machine, then delete and add it here"
	case o.flags&unix.IFA_F_TENTATIVE != 0:
		f.Message = fmt.Sprintf("%s on %s is tentative, so this machine does not answer for it yet", o.Addr(), o.link)
		f.Commands = []string{fmt.Sprintf("ip address delete %s dev %s", o.Prefix, shell.Quote(o.link)), again}
		f.Advice = "not needed within seconds of adding the address; nodad uses it without a check for another owner"
	default:
		return nil
	}
	return f
}

// unanswered returns the finding about an address in a network of one interface that another interface has. For IPv6
// the kernel answers for addresses of the interface only; for IPv4 it does so if arp_ignore is set.
func (s *search) unanswered(o ownAddress, l farm.Listen) *Finding {
	a := o.Addr()
	link := s.machine.connected(a)
	if link == "" || slices.Contains(s.machine.holders[a], link) || s.machine.isOnTop(o.link, link) ||
		s.answersForOthers(link, a) {
		return nil
	}
	question, option := "ARP requests", ""
	if a.Is6() {
		question, option = "neighbour solicitations", " nodad"
	} else {
		question += " (arp_ignore)"
	}
	return &Finding{Kind: "unanswered", Object: a.String(), Effect: Harms, Place: l.Place,
		Message: fmt.Sprintf("%s is on %s, in the network of %s, and the kernel does not answer %s for it there", a,
			o.link, link, question),
		Commands: []string{fmt.Sprintf("ip address add %s/%d dev %s%s", a, a.BitLen(), shell.Quote(link), option)},
		Advice:   "not needed if a router sends the packets here; until the next boot"}
}

// answersForOthers reports whether an interface answers for the addresses of other ones.
func (s *search) answersForOthers(link string, a netip.Addr) bool {
	if a.Is4() {
		return s.linkSetting(link, "arp_ignore") == 0
	}
	return s.linkSysctl("net/ipv6/conf/"+link+"/proxy_ndp") == "1"
}

// sourceAddresses finds source addresses that no interface has: of backends' connections in mode snat, and of marked
// connections in mode local. Answers go to a machine that has it, or nowhere.
func (s *search) sourceAddresses() {
	for _, f := range s.farms {
		s.backendSources(f, f.Source)
		for i := range f.Backends {
			s.backendSources(f, f.Backends[i].Source)
		}
		for _, m := range f.MarkedSources {
			for _, a := range m.Address.All() {
				s.sourceAddress(f, a, "other machines need a route to it; until the next boot",
					"sources: %s is on no interface of this machine, so answers of other machines go elsewhere")
			}
		}
	}
}

func (s *search) backendSources(f *farm.Farm, sources farm.Sources) {
	for _, r := range sources {
		for _, a := range r.All() {
			s.sourceAddress(f, a, "the backends need a route to it; until the next boot",
				"source-address %s is on no interface of this machine, so answers of backends go elsewhere")
		}
	}
}

// sourceAddress looks for an address, and says what is wrong if it is absent.
func (s *search) sourceAddress(f *farm.Farm, a netip.Addr, advice, format string) {
	if s.machine.routes.to(a) == local {
		return
	}
	found := Finding{Kind: "source-address", Object: a.String(), Effect: Harms, Place: f.Place,
		Message: fmt.Sprintf(format, a)}
	if link := s.machine.connected(a); link != "" {
		found.Advice = fmt.Sprintf(vrrpAdvice, link)
	} else {
		found.Commands = []string{fmt.Sprintf("ip address add %s/%d dev lo", a, a.BitLen())}
		found.Advice = advice
	}
	s.found.add(found, f)
}

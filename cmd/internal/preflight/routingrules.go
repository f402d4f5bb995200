package preflight

import (
	"errors"
	"fmt"
	"net/netip"

	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routingRules finds rules for routes (ip rule) that refuse packets of clients to a backend, or answers of a backend.
// On a machine that has the kernel's own rules alone, routes to backends say it all.
func (s *search) routingRules() {
	for _, family := range addr.Families {
		if !hasOwnRules(family) {
			continue
		}
		for _, f := range s.farms[:min(len(s.farms), maxRoutedFarms)] {
			for _, p := range s.packetsOf(f) {
				if p.family == family {
					s.refused(p)
				}
			}
		}
	}
}

// maxRoutedFarms is the maximum number of farms that the kernel is asked about: four questions for each take 0.2 s.
const maxRoutedFarms = 1000

// hasOwnRules reports whether there are rules beside the ones for the tables local, main and default.
func hasOwnRules(family addr.Family) bool {
	kernel, own := netlink.FAMILY_V4, 3
	if family == addr.IP6 {
		kernel, own = netlink.FAMILY_V6, 2
	}
	rules, err := netlink.RuleList(kernel)
	return err == nil && len(rules) > own
}

// refused asks the kernel for the routes of the packets of a flow, between the backend and a client on each interface.
func (s *search) refused(p flow) {
	for _, link := range p.clientLinks {
		client := s.clientOn(link, p)
		if !client.IsValid() || !s.forwardsFrom(link, p.family) {
			continue
		}
		backend := p.backend.Address[p.family]
		switch {
		case p.servedHere():
			s.refusedAnswer(p, "", p.service, client)
		case p.local:
			s.refusedAnswer(p, "", backend, client)
		default:
			if !p.atIngress() && p.farm.Mode != farm.DSR && isRefused(link, client, backend) {
				s.found.add(s.refusal(p, "the packets of clients", link, "to "+backend.String()), p.farm)
			}
			if p.answersPass() && s.forwardsFrom(p.backendLink, p.family) {
				s.refusedAnswer(p, p.backendLink, backend, client)
			}
		}
	}
}

func (s *search) refusedAnswer(p flow, link string, from, client netip.Addr) {
	if isRefused(link, from, client) {
		s.found.add(s.refusal(p, "the answers", link, "from "+from.String()), p.farm)
	}
}

// isRefused reports whether the kernel has a route to an address, but not for packets of a source that come in at an
// interface; without an interface for those that this machine sends.
func isRefused(link string, from, to netip.Addr) bool {
	if _, err := netlink.RouteGet(to.AsSlice()); err != nil {
		return false // a finding of its own, or a client that is further away
	}
	_, err := netlink.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{Iif: link, SrcAddr: from.AsSlice()})
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) ||
		errors.Is(err, unix.EINVAL) && sourceIsTaken(link, from)
}

// sourceIsTaken reports whether the kernel takes packets with a source at an interface, sent to this machine. It
// answers EINVAL about others, and about a rule of type blackhole.
func sourceIsTaken(link string, from netip.Addr) bool {
	own, err := netlink.RouteGet(from.AsSlice())
	if err != nil || len(own) == 0 || link == "" {
		return err == nil
	}
	_, err = netlink.RouteGetWithOptions(own[0].Src, &netlink.RouteGetOptions{Iif: link, SrcAddr: from.AsSlice()})
	return err == nil
}

// forwardsFrom reports whether packets that come in at an interface are forwarded. The kernel refuses them otherwise.
func (s *search) forwardsFrom(link string, family addr.Family) bool {
	path := map[addr.Family]string{addr.IP4: "net/ipv4/conf/" + link + "/forwarding",
		addr.IP6: "net/ipv6/conf/" + link + "/forwarding"}[family]
	return s.linkSysctl(path) != "0"
}

// clientOn is the address of a machine from which packets of clients come in at an interface: the client of the
// search, the router, or the neighbour in the network of the interface.
func (s *search) clientOn(link string, p flow) netip.Addr {
	if p.client.Addr().IsValid() {
		return p.client.Addr()
	}
	defaults := s.machine.defaults4
	if p.family == addr.IP6 {
		defaults = s.machine.defaults6
	}
	for _, r := range defaults {
		if router, ok := netip.AddrFromSlice(r.Gw); ok && s.machine.names[r.LinkIndex] == link {
			return router.Unmap()
		}
	}
	for _, o := range s.machine.networks {
		if o.link != link || o.Addr().Is6() != (p.family == addr.IP6) || o.Addr().IsLinkLocalUnicast() {
			continue
		}
		for _, next := range []netip.Addr{o.Addr().Next(), o.Addr().Prev()} {
			if o.Contains(next) && next != o.Masked().Addr() {
				return next
			}
		}
	}
	return netip.Addr{}
}

// refusal is the finding about packets for which a rule has no route.
func (s *search) refusal(p flow, packets, link, selector string) Finding {
	command := "ip rule add pref 1 "
	if p.family == addr.IP6 {
		command = "ip -6 rule add pref 1 "
	}
	at := ""
	if link != "" {
		selector, at = "iif "+link+" "+selector, " that come in at "+link
	}
	return Finding{Kind: "routing-rule", Object: selector, Effect: p.effect(),
		Message:  fmt.Sprintf("a rule for routes (ip rule) refuses %s%s", packets, at),
		Commands: []string{command + selector + " lookup main"},
		Advice: "these packets then take the routes of table main, whatever the other rules say; " +
			"the network configuration keeps it"}
}

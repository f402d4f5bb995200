package preflight

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// loopback finds interfaces to backends of farms on a loopback address that do not take packets from that address. The
// kernel has already chosen 127.0.0.1 as the source when the rules choose a backend.
func (s *search) loopback() {
	for _, f := range s.farms {
		if !listensOnLoopback(f) {
			continue
		}
		for _, link := range s.linksToBackends(f, addr.IP4) {
			if s.linkSetting(link, "route_localnet") == 0 {
				s.found.add(notFromLoopback(link), f)
			}
		}
	}
}

func listensOnLoopback(f *farm.Farm) bool {
	return f.Mode != farm.Local &&
		slices.ContainsFunc(f.Listen, func(l farm.Listen) bool { return l.Address.IsLoopback() })
}

func notFromLoopback(link string) Finding {
	return Finding{Kind: "loopback", Object: link, Effect: Stops,
		Message:  fmt.Sprintf("interface %s sends no connections to 127.0.0.1 on to backends", link),
		Commands: []string{setSysctl("net/ipv4/conf/"+link+"/route_localnet", "1")},
		Advice: "rules of the farm still drop packets of other machines with loopback addresses; " +
			"a file in /etc/sysctl.d keeps it"}
}

// linksToBackends are the interfaces out of which the routes to backends in use lead, each once.
func (s *search) linksToBackends(f *farm.Farm, family addr.Family) (links []string) {
	seen := map[netip.Addr]bool{}
	for i := range f.Backends {
		b := &f.Backends[i]
		if b.State != farm.Up || !b.Address.Has(family) || seen[b.Address[family]] {
			continue
		}
		seen[b.Address[family]] = true
		if link := s.linkTo(b.Address[family]); link != "" && !slices.Contains(links, link) {
			links = append(links, link)
		}
	}
	return links
}

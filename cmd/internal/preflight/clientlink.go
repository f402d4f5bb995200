package preflight

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/farm"
)

// clientLink finds a client to which the route leads out of an interface that its farm does not name. The packets of
// the client then usually come in there, and the farm does not take them.
func (s *search) clientLink() {
	if s.only == nil || s.only.link != "" || !s.only.client.Addr().IsValid() {
		return
	}
	f, link := s.only.frontend.Farm, s.linkTo(s.only.client.Addr())
	if len(f.Interfaces) == 0 || link == "" || s.takesFrom(f, link) {
		return
	}
	s.found.add(Finding{Kind: "interface", Object: "to client " + link, Effect: Harms,
		Place: f.Origin("interfaces").Place,
		Message: fmt.Sprintf("the route to the client leads out of %s, and the farm takes packets on %s alone", link,
			strings.Join(f.Interfaces, ", ")),
		Advice: fmt.Sprintf("add %s to interfaces if packets of the client come in there", link)}, f)
}

// linkTo is the interface out of which the route to an address leads; "": none, or an address of this machine.
func (s *search) linkTo(a netip.Addr) string {
	r := s.machine.routes.lookUp(a)
	if r.kind == local || r.kind == nowhere {
		return ""
	}
	return s.machine.names[r.link]
}

// takesFrom reports whether a farm takes packets that come in by an interface: by its name, by a port of it, or by an
// interface on top of it.
func (s *search) takesFrom(f *farm.Farm, link string) bool {
	return slices.ContainsFunc(f.Interfaces, func(name string) bool {
		l := s.machine.links[name]
		return name == link || l != nil && (s.bridge(l) == link || s.machine.isOnTop(name, link) ||
			s.machine.isOnTop(link, name))
	})
}

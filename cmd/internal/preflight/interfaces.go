package preflight

import (
	"fmt"
	"net"
	"slices"

	"farmc/cmd/internal/shell"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
)

// interfaces finds interfaces of farms that do not exist, are down, or belong to a bridge. The compiler warns about
// absent ones in modes dsr and stateless, because it leaves rules out; a farm that has only absent ones is found here
// in every mode.
func (s *search) interfaces() {
	for _, f := range s.farms {
		present := 0
		for _, name := range f.Interfaces {
			if s.machine.links[name] != nil {
				present++
			}
		}
		for _, name := range f.Interfaces {
			s.link(f, name, present)
		}
	}
}

func (s *search) link(f *farm.Farm, name string, present int) {
	l := s.machine.links[name]
	found := Finding{Kind: "interface", Object: name, Effect: Harms, Place: f.Place}
	switch {
	case l == nil && present > 0 && f.Mode != farm.SNAT && f.Mode != farm.DNAT:
		return
	case l == nil && s.renamed(name) != "":
		found.Message = fmt.Sprintf("interfaces: %s is another name of %s, and packets have the first name only", name,
			s.renamed(name))
		found.Advice = fmt.Sprintf("interfaces = [%q]", s.renamed(name))
		if present == 0 {
			found.Effect = Stops
		}
	case l == nil:
		found.Message = fmt.Sprintf("interfaces: this machine has no interface %s, so the farm takes no packets there",
			name)
		found.Advice = "name the interface as ip link shows it; if it comes later, nothing is to do"
		if present == 0 {
			found.Effect = Stops
		}
	case l.Attrs().Flags&net.FlagUp == 0:
		found.Message = fmt.Sprintf("interfaces: %s is down", name)
		found.Commands = []string{"ip link set dev " + shell.Quote(name) + " up"}
		if present == 1 {
			found.Effect = Stops
		}
	case s.bridge(l) != "":
		found.Message = fmt.Sprintf("interfaces: %s is a port of %s, and IP packets of a port come in at the bridge",
			name, s.bridge(l))
		found.Advice = fmt.Sprintf("interfaces = [%q]", s.bridge(l))
		if f.Mode == farm.DSR || f.Mode == farm.Stateless { // ingress sees the frames of a port
			return
		}
		found.Effect = Stops
	case s.macvlan(f, l) != "":
		above := s.macvlan(f, l)
		found.Message = fmt.Sprintf(
			"interfaces: %s carries %s, which has an address of the farm, so packets come in at %s", name, above, above)
		found.Advice = fmt.Sprintf("interfaces = [%q]", above)
	default:
		return
	}
	s.found.add(found, f)
}

// renamed returns the name of the interface that has another name, as udev gives them; "" if there is none.
func (s *search) renamed(other string) string {
	for name, l := range s.machine.links {
		if slices.Contains(l.Attrs().AltNames, other) {
			return name
		}
	}
	return ""
}

// macvlan returns an interface on top of the link that has an address of a farm, as keepalived makes it with use_vmac,
// and that the farm does not name. Rules at ingress see the frames at the link, too.
func (s *search) macvlan(f *farm.Farm, below netlink.Link) string {
	if f.Mode != farm.SNAT && f.Mode != farm.DNAT {
		return ""
	}
	for _, l := range f.Listen {
		for _, name := range s.machine.holdersOf(l) {
			if s.machine.isOnTop(name, below.Attrs().Name) && !slices.Contains(f.Interfaces, name) {
				return name
			}
		}
	}
	return ""
}

// holdersOf returns the interfaces that have an address of the entry.
func (m *machine) holdersOf(l farm.Listen) (names []string) {
	if l.Bits == 0 {
		return m.holders[l.Address]
	}
	for a, of := range m.holders {
		if l.Has(a) {
			names = append(names, of...)
		}
	}
	slices.Sort(names)
	return names
}

// isOnTop reports whether an interface is a macvlan of another one. It answers for its addresses by itself.
func (m *machine) isOnTop(name, below string) bool {
	l, parent := m.links[name], m.links[below]
	return l != nil && parent != nil && (l.Type() == "macvlan" || l.Type() == "ipvlan") &&
		l.Attrs().ParentIndex == parent.Attrs().Index
}

// bridge returns the bridge or bond that has the link as a port; "" if there is none.
func (s *search) bridge(l netlink.Link) string {
	name := s.machine.names[l.Attrs().MasterIndex]
	above := s.machine.links[name]
	if above != nil && slices.Contains([]string{"bridge", "bond", "team"}, above.Type()) {
		return name
	}
	return ""
}

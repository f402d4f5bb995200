package preflight

import (
	"fmt"
	"net"

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
		found.Advice = fmt.Sprintf("interfaces = %q", s.bridge(l))
		if f.Mode == farm.DSR || f.Mode == farm.Stateless { // ingress sees the frames of a port
			return
		}
		found.Effect = Stops
	default:
		return
	}
	s.found.add(found, f)
}

// bridge returns the bridge or VRF that has the link as a port; "" if there is none.
func (s *search) bridge(l netlink.Link) string {
	name := s.machine.names[l.Attrs().MasterIndex]
	if above := s.machine.links[name]; above != nil && above.Type() == "bridge" {
		return name
	}
	return ""
}

package ruleset

import (
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A gate is a base chain that dispatches packets to the access or limit chains of their farms before anything else
// happens to a packet.
type gate struct {
	Name    string
	Section section
	Local   bool     // packets that this machine sends
	Devices []string // the interfaces with the gate at their ingress; none: prerouting, before connection tracking
	Before  int      // the distance, in steps of priority, to the chains that come next

	Maps      []*dispatchMap
	Fragments []*dispatchMap // later fragments, which have no ports: they reach ingress only
	Any       *anyChain
}

// Access reports whether the gate leads to access chains; else it leads to limit chains.
func (g *gate) Access() bool { return g.Section == accessSection }

// Ports and Addresses are the maps that the chain asks, with and without ports in their keys.
func (g *gate) Ports() []*dispatchMap {
	ports, _ := byPorts(g.Maps)
	return ports
}

// Addresses is described at Ports.
func (g *gate) Addresses() []*dispatchMap {
	_, addresses := byPorts(g.Maps)
	return addresses
}

// AddressFamilies are the families with maps of whole addresses, in the order of the maps.
func (g *gate) AddressFamilies() (out []addr.Family) {
	for _, m := range g.Addresses() {
		if m.portless() && !slices.Contains(out, m.Family) {
			out = append(out, m.Family)
		}
	}
	return out
}

// place says where the gate's maps stand.
func (g *gate) place() mapPlace {
	if len(g.Devices) > 0 {
		return mapPlace{Inet, g.Section, g.Name + "/", ""}
	}
	return mapPlace{Inet, g.Section, g.Name + "-", ""}
}

// meets reports whether packets of the farm pass the gate.
func (g *gate) meets(s *service) bool {
	if g.Local {
		return !s.Mode.Untracked()
	}
	in := ingress{Devices: g.Devices}
	return in.takes(s) || in.passes(s)
}

// fillGate leads the packets of frontends with a chain to the chain. Packets of other frontends return where a more
// general frontend would catch them. Of a farm that is down no packets return, and its chain is entered by a jump:
// afterwards the packets meet the chain of a more general farm, which serves in its place.
func (l *linker) fillGate(g *gate, frontends []frontend, chain func(*gate, frontend) string) {
	chains := verdictsOf(frontends, func(d frontend) string { return chain(g, d) })
	if chains == nil {
		return
	}
	var general coverage
	for i, d := range frontends {
		if chains[i] != "" {
			general.add(d)
		}
	}
	for i, d := range frontends {
		switch {
		case chains[i] != "" && d.farm.Down:
			l.addToGate(g, d, jumpTo(chains[i]))
		case chains[i] != "":
			l.addToGate(g, d, l.ownFirst(d, len(g.Devices) > 0, goTo(chains[i])))
		case d.farm.Down || !g.meets(d.farm):
		case d.Specificity < general.at(d):
			l.addToGate(g, d, goBack)
		}
	}
	if len(g.Devices) > 0 {
		l.fillGateFragments(g, frontends, chains)
	}
	if len(g.Maps) > 0 || g.Any != nil {
		l.rules.add(newChain(g.Name, g.Section, "gate").with(g))
	}
}

func (l *linker) addToGate(g *gate, d frontend, v verdict) {
	maps := &g.Maps
	if d.Specificity >= farm.AnyAddressPort {
		if g.Any == nil {
			g.Any = l.anyChain(g.Name+"-any", g.Section)
		}
		maps = &g.Any.Maps
	}
	l.addTo(maps, g.place(), d, string(v))
}

// fillGateFragments leads the later fragments of a datagram to the chain of its first fragment, if all frontends on the
// address by that protocol have the same chain. Else later fragments return; without the first one they are of no use.
func (l *linker) fillGateFragments(g *gate, frontends []frontend, chains []string) {
	comes := func(i int) bool { // a packet of the frontend to this gate
		d := frontends[i]
		return (chains[i] != "" || !d.farm.Down && g.meets(d.farm)) && d.Address.IsValid()
	}
	verdicts := map[datagram]verdict{}
	var whole coverage // of frontends with a chain that would catch packets without ports
	for i, d := range frontends {
		if !comes(i) {
			continue
		}
		v := goBack
		if chains[i] != "" {
			v = goTo(chains[i])
			if d.Whole() {
				whole.add(d)
			}
		}
		if d.holdsOthers(frontends) {
			v = goBack
		}
		agreeOnFragments(verdicts, d, v, goBack)
	}
	for i, d := range frontends {
		at := d.datagram()
		if v := verdicts[at]; comes(i) && v != noVerdict && (v != goBack || whole.at(d) > 0) {
			d.fragment = true
			l.addTo(&g.Fragments, g.place(), d, string(v))
			delete(verdicts, at)
		}
	}
}

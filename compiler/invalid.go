package compiler

import (
	"cmp"
	"net/netip"
	"slices"
)

// Connection tracking calls a TCP segment beyond the window invalid, and NAT does not translate it. The machine that it
// reaches answers with a reset that fits, and the connection ends. So invalid segments are dropped: of clients to the
// services of farms, and of backends, which come to this machine's own address in mode snat, and are forwarded in mode
// dnat.

// An invalidChain drops segments of a kind: what comes in by some interfaces, or from some ports.
type invalidChain struct {
	Name  string
	Only  []string
	Ports []Ports
}

// dropInvalid leads invalid segments of the doors' farms to where they are dropped.
func (l *linker) dropInvalid(tracked []door) {
	doors := slices.DeleteFunc(slices.Clone(tracked), func(d door) bool {
		return d.protocol != TCP && d.level != addressLevel
	})
	l.leadSome(&l.rules.invalidTo, "invalid-", doors, l.invalidTo)
	for _, side := range []invalidSide{
		{&l.rules.invalidBack, "invalid-back-", func(f *Farm) bool { return f.Mode == SNAT || f.LocalClients }},
		{&l.rules.invalidForward, "invalid-forward-", func(f *Farm) bool { return f.Mode == DNAT }},
	} {
		l.invalidFrom(side, slices.DeleteFunc(slices.Clone(doors), func(d door) bool {
			return !d.farm.dropsInvalid() || !side.has(d.farm)
		}))
	}
	slices.SortFunc(l.rules.invalidChains, func(a, b invalidChain) int { return cmp.Compare(a.Name, b.Name) })
}

func (f *Farm) dropsInvalid() bool {
	return slices.Contains([]Mode{SNAT, DNAT}, f.Mode) && !f.PassInvalid
}

// invalidTo gives the chain for what clients send.
func (l *linker) invalidTo(d door) string {
	switch {
	case !d.farm.dropsInvalid():
		return ""
	case len(d.farm.Interfaces) == 0:
		return dropVerdict
	}
	inside := d.farm.Interfaces
	return l.invalidChain(invalidChain{Name: "invalid-inside/" + shortened(inside, longestPart), Only: inside})
}

func (l *linker) invalidChain(c invalidChain) string {
	if !slices.ContainsFunc(l.rules.invalidChains, func(o invalidChain) bool { return o.Name == c.Name }) {
		l.rules.invalidChains = append(l.rules.invalidChains, c)
	}
	return c.Name
}

// An invalidSide is where segments of the backends of some farms come: to this machine, or through it.
type invalidSide struct {
	to     *[]*verdictMap
	prefix string
	has    func(*Farm) bool
}

// invalidFrom leads what comes from the doors' backends. Single ports stand in the keys. Of ranges each backend has one
// element, which leads to a chain that compares the ports: a map of intervals takes the kernel quadratic time to load.
func (l *linker) invalidFrom(side invalidSide, doors []door) {
	known := map[netip.AddrPort]bool{}
	ranges := map[netip.Addr][]Ports{}
	var ranged []reply
	for i := range doors {
		for _, r := range doors[i].replies() {
			at := netip.AddrPortFrom(r.address, r.ports.First)
			switch {
			case !r.ports.Single():
				if ranges[r.address] == nil {
					ranged = append(ranged, r)
				}
				ranges[r.address] = append(ranges[r.address], r.ports)
			case !known[at]:
				known[at] = true
				l.invalidFromOne(side, r, portLevel, dropVerdict)
			}
		}
	}
	for _, r := range ranged {
		l.invalidFromOne(side, r, addressLevel, l.invalidPorts(joinedPorts(ranges[r.address])))
	}
}

func (l *linker) invalidFromOne(side invalidSide, r reply, at level, chain string) {
	d := r.from()
	d.level, d.protocol = at, TCP
	m := l.lead(side.to, side.prefix, d, verdictTo(chain))
	m.Elements[len(m.Elements)-1].origin = r.backend.origin(d.farm)
}

// invalidPorts gives the chain for what comes from the ports.
func (l *linker) invalidPorts(ports []Ports) string {
	if slices.Contains(ports, Ports{0, 65535}) {
		return dropVerdict
	}
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = p.String()
	}
	return l.invalidChain(invalidChain{Name: "invalid-ports/" + shortened(words, longestPart), Ports: ports})
}

// joinedPorts are the same ports in the fewest ranges, in order.
func joinedPorts(all []Ports) (out []Ports) {
	slices.SortFunc(all, func(a, b Ports) int { return cmp.Compare(a.First, b.First) })
	for _, p := range all {
		if n := len(out); n > 0 && int(p.First) <= int(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, p.Last)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// invalidWithoutTCP refuses a key that nothing of the farm can fall under.
func invalidWithoutTCP(t *table, f *Farm) {
	byTCP := func(l Listen) bool { return l.Whole() || slices.Contains(l.Protocols, TCP) }
	if t.has("invalid") && len(f.Listen) > 0 && !slices.ContainsFunc(f.Listen, byTCP) {
		t.fault(t.at("invalid"), "", "invalid has no effect: the farm does not listen on tcp")
	}
}

// An invalidView is what a template sees of the base chains.
type invalidView struct {
	To            *hookView
	Back, Forward []*mapView
	Chains        []invalidChain
}

func newInvalidView(r *ruleset) *invalidView {
	if len(r.invalidTo) == 0 {
		return nil
	}
	to := hook("invalid-any", r.invalidTo)
	return &invalidView{to, views(r.invalidBack), views(r.invalidForward), r.invalidChains}
}

// verdictTo leads to a chain, unless it is a verdict itself.
func verdictTo(chain string) string {
	if chain == dropVerdict || chain == "accept" {
		return chain
	}
	return "goto " + chain
}

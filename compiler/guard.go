package compiler

import (
	"slices"
	"strings"
)

// A gate is a base chain where packets meet the guards of their farms, before all else that is done to them.
type gate struct {
	Name    string
	Local   bool     // packets that this machine itself sends
	Devices []string // at whose ingress it stands; none: prerouting, before connection tracking
	Before  int      // how far, in steps of priority, from what it stands before
	Doors   []*verdictMap

	Fragments []*verdictMap // later ones, which have no ports; they come to ingress alone
}

// A guard is a farm's chain of one family that says which packets go on: what it has no more to say of returns.
type guard struct {
	Name   string
	Family Family
	Only   []string // the interfaces that the farm's packets come in by; none: all
	Next   string   // the chain that goes on from here; "": this one
	Steps  []guardStep
	origin *Origin
}

// A guardStep is what becomes of some clients.
type guardStep struct {
	Who     clients
	Counter string // that they are dropped with; "": they are let by, or
	Next    string // the chain that they go to
}

// A denial is where clients end that a farm denies, if it wants to know by which list.
type denial struct {
	Name, Counter string
	Log           *logRule
	origin        *Origin
}

// A counter is a counter of a farm's own.
type counter struct {
	Name   string
	Origin *Origin
}

// guard puts guards before the farms that want any. A farm that is down is guarded, too.
func (l *linker) guard(doors []door) {
	for _, g := range gates(doors) {
		l.leadGate(g, doors, l.guardAt)
		if len(g.Doors) > 0 {
			l.rules.gates = append(l.rules.gates, g)
		}
	}
}

// gates are where packets of the doors can be met: at the ingress of the interfaces that farms name, as far as they are
// there, in prerouting, and on the way out of this machine.
func gates(doors []door) []*gate {
	ingresses := ingressesOf(doors, func(f *Farm) []string {
		if !f.guarded() {
			return nil
		}
		return f.presentInterfaces()
	})
	var out []*gate
	for _, in := range ingresses {
		out = append(out, &gate{Name: "access-" + in.Name, Devices: in.Devices, Before: 10})
	}
	return append(out, &gate{Name: "access", Before: 10}, &gate{Name: "local-access", Local: true, Before: 10})
}

// guarded says whether the farm looks at who its clients are before it serves them.
func (f *Farm) guarded() bool { return !f.Access.Deny.nobody() }

// leadGate leads the doors of guarded farms to their guards. Those of others return where a more general one would catch
// what is theirs; of a farm that is down nothing is, so that whoever serves instead of it guards, too.
func (l *linker) leadGate(g *gate, doors []door, guardAt func(*gate, door) string) {
	guards := make([]string, len(doors))
	var every [len(Families)]level
	general := map[door]level{}
	for i, d := range doors {
		if guards[i] = guardAt(g, d); guards[i] == "" {
			continue
		}
		if d.level >= anyPortLevel {
			every[d.family] = max(every[d.family], d.level)
		}
		general[d.at()] = max(general[d.at()], d.level)
	}
	for i, d := range doors {
		switch {
		case guards[i] != "" && d.farm.Down:
			l.lead(&g.Doors, g.prefix(), d, "jump "+guards[i])
		case guards[i] != "":
			l.lead(&g.Doors, g.prefix(), d, "goto "+guards[i])
		case d.farm.Down || !g.meets(d.farm):
		case d.level < max(general[d.at()], every[d.family]):
			l.lead(&g.Doors, g.prefix(), d, "return")
		}
	}
	if len(g.Devices) > 0 {
		l.leadGateFragments(g, doors, guards)
	}
}

// leadGateFragments leads the later fragments of a datagram to the guard that its first one meets, if all that listens on
// the address by that protocol has the same. Else they return, and come to nothing without the first one.
func (l *linker) leadGateFragments(g *gate, doors []door, guards []string) {
	verdicts := map[door]string{} // by address and protocol
	whole := map[door]bool{}      // addresses with a guard that would catch what has no port
	for i, d := range doors {
		if guards[i] == "" && (d.farm.Down || !g.meets(d.farm)) || d.level > addressLevel {
			continue
		}
		verdict := "return"
		if guards[i] != "" {
			verdict = "goto " + guards[i]
			whole[d.at()] = whole[d.at()] || d.level == addressLevel
		}
		for _, protocol := range []Protocol{TCP, UDP, SCTP} {
			at := d.at()
			at.protocol = protocol
			switch before, known := verdicts[at]; {
			case d.protocol == protocol && !known:
				verdicts[at] = verdict
			case (d.protocol == protocol || d.level == addressLevel) && known && before != verdict:
				verdicts[at] = "return"
			}
		}
	}
	for _, d := range doors {
		at := d.at()
		at.protocol = d.protocol
		if verdict := verdicts[at]; verdict != "" && (verdict != "return" || whole[d.at()]) {
			of := d
			of.level = fragmentLevel
			l.lead(&g.Fragments, g.prefix(), of, verdict)
			delete(verdicts, at)
		}
	}
}

// at is the address alone.
func (d door) at() door { return door{family: d.family, address: d.address} }

func (g *gate) prefix() string {
	if len(g.Devices) > 0 {
		return g.Name + "/"
	}
	return g.Name + "-"
}

// meets says whether packets of the farm pass here.
func (g *gate) meets(f *Farm) bool {
	in := ingress{Devices: g.Devices}
	if g.Local {
		return !slices.Contains(frames, f.Mode)
	}
	return in.takes(f) || in.passes(f)
}

// guardAt gives the guard of the door here, "" if it has none.
func (l *linker) guardAt(g *gate, d door) string {
	f := d.farm
	framed := slices.Contains(frames, f.Mode)
	switch {
	case !f.guarded():
		return ""
	case g.Local && !f.LocalClients:
		return ""
	case len(g.Devices) > 0:
		if d.level >= anyPortLevel || !slices.Contains(f.presentInterfaces(), g.Devices[0]) {
			return ""
		}
	case !g.Local && len(f.Interfaces) > 0: // what comes in by interfaces that aren't there yet, or what ingress can't tell
		if framed || d.level < anyPortLevel && len(f.absent) == 0 {
			return ""
		}
		return l.guardOnly(f, d.family)
	}
	return l.guardOf(f, d.family)
}

// guardOnly gives the guard of what comes in by the farm's interfaces, met elsewhere than there.
func (l *linker) guardOnly(f *Farm, family Family) string {
	next := l.guardOf(f, family)
	if next == "" {
		return ""
	}
	name := ownName(f, "access-inside-"+family.Suffix())
	if !l.forwards[name] {
		l.forwards[name] = true
		l.rules.guards = append(l.rules.guards, &guard{Name: name, Family: family, Only: f.Interfaces, Next: next, origin: f.origin("interfaces")})
	}
	return name
}

// guardOf gives the farm's guard, "" if it has nothing to say of the family.
func (l *linker) guardOf(f *Farm, family Family) string {
	name := ownName(f, "access-"+family.Suffix())
	if known, ok := l.guards[name]; ok {
		return known
	}
	c := &guard{Name: name, Family: family, origin: f.origin("access")}
	for _, who := range l.allowed(f, family) {
		c.Steps = append(c.Steps, guardStep{Who: who})
	}
	denied := l.people(f, "deny", f.Access.Deny, family)
	for _, who := range denied {
		c.Steps = append(c.Steps, l.deny(f, who))
	}
	if len(denied) == 0 {
		name = ""
	} else {
		l.rules.guards = append(l.rules.guards, c)
	}
	l.guards[c.Name] = name
	return name
}

// deny drops clients, and counts them.
func (l *linker) deny(f *Farm, who clients) guardStep {
	s := guardStep{Who: who, Counter: ownName(f, "denied")}
	l.counted(s.Counter, f.origin("access"))
	rule := l.write(f, false, event{on: OnDenied, reason: string(OnDenied), list: strings.TrimPrefix(who.List, "@")})
	if rule == nil {
		return s
	}
	s.Next = s.Counter + "/" + strings.Replace(who.List, "@", "list/", 1)
	if !l.forwards[s.Next] {
		l.forwards[s.Next] = true
		l.rules.denials = append(l.rules.denials, denial{s.Next, s.Counter, rule, f.origin("access")})
	}
	return s
}

// allowed are whom the farm neither denies nor limits.
func (l *linker) allowed(f *Farm, family Family) []clients {
	known := l.allow[f]
	if known == nil {
		known = &[len(Families)][]clients{}
		for _, family := range Families {
			known[family] = l.people(f, "allow", f.Access.Allow, family)
		}
		l.allow[f] = known
	}
	return known[family]
}

func (l *linker) counted(name string, origin *Origin) {
	if !l.counters[name] {
		l.counters[name] = true
		l.rules.counters = append(l.rules.counters, counter{name, origin})
	}
}

type guardView struct {
	*guard
	view
	Views  []guardStepView
	Origin *Origin
}

type guardStepView struct {
	guardStep
	clientsView
}

func newGuardView(g *guard) guardView {
	v := guardView{guard: g, view: view{g.Family}, Origin: g.origin}
	for _, s := range g.Steps {
		v.Views = append(v.Views, guardStepView{s, clientsView{s.Who, view{g.Family}}})
	}
	return v
}

type gateView struct {
	*gate
	Ports, Fragments, Addresses []*mapView
	Any                         *anyView
}

func newGateView(g *gate) gateView {
	h := hook(g.Name+"-any", g.Doors)
	v := gateView{gate: g, Fragments: views(g.Fragments), Any: h.Any}
	v.Ports, v.Addresses = partByPorts(h.Maps)
	return v
}

// All are all maps that the gate asks.
func (v gateView) All() []*mapView { return append(views(v.Doors), v.Fragments...) }

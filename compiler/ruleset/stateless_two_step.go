package ruleset

import (
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// statelessTwoStep gives the chain of the requests to the frontend's address, of a farm with persistence, and adds the
// frontend to its maps. No connection tells whether a client is known, so each request is looked up, and renews the
// client's time. The ID of a backend is put into the request as its destination, which it mostly is in the end: packet
// marks belong to others, and the request goes on through the stack.
func (l *linker) statelessTwoStep(d frontend, a *slotAssignment) string {
	s := d.farm
	target := l.statelessTarget(d, a)
	o := newChain(s.ownName(addressName(d.Address)+"-"+d.Family.Suffix()), statelessSection, "two-step").at(s.table())
	t := obtain(&l.rules, o, func() *twoStep {
		t := &twoStep{Family: d.Family, Target: target.Name, Origin: s.Origin("scheduler")}
		t.Sticky = l.sticky(d, a, target.Name)
		l.pickID(t, d, s.keyPrefix(d.Family, len(a.slots)) != noPrefix)
		return t
	})
	if l.isNew(d) {
		for _, b := range a.eligible {
			l.addTarget(target, d, b, a.ids[b.Name])
		}
		if t.Pick != "" {
			l.addToPick(d, a)
		}
	}
	return o.Name
}

// A statelessTarget is a chain that leads a request from a backend ID to the backend: one that many farms share, or a
// farm's own. The ID of a backend that is not eligible matches nothing, and evaluation continues.
type statelessTarget struct {
	Name   string
	Family addr.Family
	Prefix keyPrefix
	Steps  []targetStep
	Origin *diag.Origin // of a farm's own

	newSet *slotMap // counts new connections; nil: there are none to count
}

// A targetStep is for the backends with one port behind one interface that have their own address as ID, or for the
// backends there that have another ID.
type targetStep struct {
	statelessStep
	IsAddress bool   // the request has the backend's address already, so the map is a set
	Asked     string // the ports of requests that backends get on other ones; "": the step takes all ports
}

// A targetRule is the rule of a step.
type targetRule struct {
	targetStep
	Family addr.Family
	Prefix keyPrefix
	Origin *diag.Origin
}

// Rules are the rules of the steps. Rules for some ports stand before rules for the ports that stay.
func (t *statelessTarget) Rules() []targetRule {
	out := make([]targetRule, len(t.Steps))
	for i, s := range t.Steps {
		out[i] = targetRule{s, t.Family, t.Prefix, t.Origin}
	}
	slices.SortStableFunc(out, func(a, b targetRule) int {
		return min(len(b.Asked), 1) - min(len(a.Asked), 1)
	})
	return out
}

// statelessTarget gives the target chain of the frontend's farm. Farms share one if all of their backends are of one
// step: two of them cannot have a backend with one address, asked for on one port, as its replies would be ambiguous.
func (l *linker) statelessTarget(d frontend, a *slotAssignment) *statelessTarget {
	s, prefix := d.farm, d.farm.keyPrefix(d.Family, len(a.eligible))
	first := d.statelessStep(a.eligible[0])
	if slices.ContainsFunc(a.eligible, func(b farm.Backend) bool {
		return !d.statelessStep(b).sameBackends(first) || first.Moves != "" || a.ids[b.Name] != b.Address[d.Family]
	}) {
		prefix = noPrefix
	}
	name := map[keyPrefix]string{
		frontendPrefix: "home-stateless" + first.String() + "-" + d.Family.Suffix(),
		addressPrefix:  "home-stateless-all" + first.String() + "-" + d.Family.Suffix(),
		noPrefix:       s.ownName("home-" + d.Family.Suffix()),
	}[prefix]
	o := newChain(name, statelessSection, "stateless-target").at(s.table())
	return obtain(&l.rules, o, func() *statelessTarget {
		t := &statelessTarget{Name: name, Family: d.Family, Prefix: prefix}
		if prefix == noPrefix {
			t.Origin = s.Origin("scheduler")
		}
		return t
	})
}

// addTarget has requests to the frontend led to a backend.
func (l *linker) addTarget(t *statelessTarget, d frontend, b farm.Backend, id netip.Addr) {
	step := targetStep{statelessStep: d.statelessStep(b), IsAddress: id == b.Address[d.Family]}
	l.rewritePort(&step.statelessStep, d)
	if step.RewritesPort() && step.Moves != "" {
		step.Asked = d.Ports.String()
	}
	if i := slices.IndexFunc(t.Steps, func(o targetStep) bool {
		return o.sameBackends(step.statelessStep) && o.IsAddress == step.IsAddress
	}); i >= 0 {
		step.Map = t.Steps[i].Map
	} else {
		step.Map = l.targetSet(t, d, step)
	}
	if !slices.Contains(t.Steps, step) {
		t.Steps = append(t.Steps, step)
	}
	e := element{key: id.String(), origin: d.farm.backendOrigin(b)}
	if t.Prefix != noPrefix {
		d.Address = id
		e.key = d.key()
	}
	if !step.IsAddress {
		e.value = b.Address[d.Family].String()
	}
	l.countTarget(t, d, b, e.key)
	step.Map.elements.addOnce(e)
}

// targetSet gives the set or map of a step.
func (l *linker) targetSet(t *statelessTarget, d frontend, s targetStep) *slotMap {
	o := &object{table: d.farm.table(), kind: KindMap, section: statelessSection, template: "stateless-targets"}
	if s.IsAddress {
		o.kind = KindSet
	}
	switch {
	case t.Prefix != noPrefix:
		o.Name = "homes" + strings.TrimPrefix(t.Name, "home")
	case s.IsAddress:
		o.Name = d.farm.ownName("backends" + s.String() + "-" + t.Family.Suffix())
	default:
		o.Name = d.farm.ownName("moved" + s.String() + "-" + t.Family.Suffix())
	}
	return obtain(&l.rules, o, func() *slotMap {
		return &slotMap{object: o, numbering: numbering{Family: t.Family}, Prefix: t.Prefix}
	})
}

// IsAddress reports whether a set of the map's keys is enough.
func (m *slotMap) IsAddress() bool { return m.kind == KindSet }

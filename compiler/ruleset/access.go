package ruleset

import (
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// An accessChain is a farm's chain of one family that says which packets go on. Packets of other clients return.
type accessChain struct {
	Family addr.Family
	Only   []string // the interfaces that the farm's packets come in by; none: all
	Next   string   // the chain that decides; "": this one
	Rules  []accessRule
	Origin *diag.Origin
}

// An accessRule is the verdict on a group of clients.
type accessRule struct {
	clients
	Counter string // they are dropped, and counted here; "": they pass, or
	Next    string // go to this chain
	Log     string // this chain logs them, and evaluation continues
	Origin  *diag.Origin
}

// A denyChain is the chain of denied clients, where the farm logs which list denied them.
type denyChain struct {
	Counter string
	Log     *logRule
}

// A logOnlyChain is the chain of clients that the farm logs in place of denying them.
type logOnlyChain struct {
	Counter string
	Log     *logRule
}

// access fills the gates with the farms that deny clients, also while a farm is down.
func (l *linker) access(all []frontend) {
	for _, g := range accessGates(all) {
		l.fillGate(g, all, l.accessAt)
	}
}

// accessGates are the places where packets of the frontends can be met first: the ingress of the interfaces that farms
// name, as far as these exist, prerouting, and the output of this machine.
func accessGates(all []frontend) (out []*gate) {
	for _, in := range ingressesOf(all, func(s *service) []string {
		if !s.deniesClients() {
			return nil
		}
		return s.PresentInterfaces()
	}) {
		out = append(out, &gate{Name: "access-" + in.Name, Section: accessSection, Devices: in.Devices, Before: 10})
	}
	return append(out, &gate{Name: "access", Section: accessSection, Before: 10},
		&gate{Name: "local-access", Section: accessSection, Local: true, Before: 10})
}

// deniesClients reports whether packets of some clients are dropped, or logged instead.
func (s *service) deniesClients() bool { return !s.Access.Deny.Empty() || !s.Access.LogOnly.Empty() }

// accessAt gives the chain that the frontend's packets meet at a gate; "" if there is none.
func (l *linker) accessAt(g *gate, d frontend) string {
	s := d.farm
	switch {
	case !s.deniesClients(), g.Local && !s.LocalClients:
		return ""
	case len(g.Devices) > 0:
		if d.Specificity >= farm.AnyAddressPort || !slices.Contains(s.PresentInterfaces(), g.Devices[0]) {
			return ""
		}
	case !g.Local && len(s.Interfaces) > 0:
		// Prerouting has the packets that ingress does not see: of an interface that does not exist yet, and to every
		// address of this machine, as ingress cannot tell the machine's addresses.
		present := len(s.PresentInterfaces()) == len(s.Interfaces)
		if s.Mode.Untracked() || d.Specificity < farm.AnyAddressPort && present {
			return ""
		}
		return l.insideAccessChain(d)
	}
	return l.accessChain(d)
}

// insideAccessChain gives the chain of packets that come in by the farm's interfaces, met in prerouting.
func (l *linker) insideAccessChain(d frontend) string {
	s, next := d.farm, l.accessChain(d)
	if next == "" {
		return ""
	}
	name := s.ownName("access-inside-" + d.Family.Suffix())
	c := &accessChain{Family: d.Family, Only: l.only(s.Interfaces), Next: next, Origin: s.Origin("interfaces")}
	l.rules.add(newChain(name, accessSection, "access").with(c))
	return name
}

// accessChain gives the farm's chain; "" if the farm neither denies nor logs a client of the family.
func (l *linker) accessChain(d frontend) string {
	s := d.farm
	denied := l.denied(s, d.Family)
	logged := l.clients(s, farm.LogOnly, s.Access.LogOnly, d.Family)
	if len(denied)+len(logged) == 0 {
		return ""
	}
	o := newChain(s.ownName("access-"+d.Family.Suffix()), accessSection, "access")
	obtain(&l.rules, o, func() *accessChain {
		c := &accessChain{Family: d.Family, Origin: s.Origin("access")}
		pass, drop := l.admissions(s, d.Family), []accessRule(nil)
		for _, group := range logged {
			drop = append(drop, l.logOnly(s, group))
		}
		for _, group := range denied {
			drop = append(drop, l.deny(s, group))
		}
		if n := len(drop); s.Access.DenyFirst {
			if s.Access.Deny.Any { // any other client stands last
				c.Rules = append(append(drop[:n-1:n-1], pass...), drop[n-1])
			} else {
				c.Rules = append(drop, pass...)
			}
		} else {
			c.Rules = append(pass, drop...)
		}
		return c
	})
	return o.Name
}

// denied gives the denied clients. Named clients stand before any other one only where they are asked before allowed
// clients: else any other one has them, too.
func (l *linker) denied(s *service, family addr.Family) []clients {
	deny := s.Access.Deny
	if !s.Access.DenyFirst || !deny.Any {
		return l.clients(s, "deny", deny, family)
	}
	named := l.clients(s, "deny", deny.Named(), family)
	return append(slices.Clip(named), clients{Family: family, List: anyList})
}

// admissions are the rules that let clients pass.
func (l *linker) admissions(s *service, family addr.Family) (out []accessRule) {
	groups := l.clients(s, "allow", s.Access.Allow, family)
	for _, group := range append(slices.Clip(l.clients(s, "exempt", s.Access.Exempt, family)), groups...) {
		out = append(out, accessRule{clients: group, Origin: s.Origin("access")})
	}
	return out
}

// logOnly gives the rule that counts and logs a group of clients. Those of each list have a counter of their own.
func (l *linker) logOnly(s *service, group clients) accessRule {
	r := accessRule{clients: group, Origin: s.Origin("access")}
	list, isList := strings.CutPrefix(group.List, "@")
	counter := LogOnlyCounter(s.Name, "")
	if isList {
		counter = LogOnlyCounter(s.Name, list)
	}
	l.counter(counter, accessSection, r.Origin)
	r.Log = s.ownName("log-only/" + strings.Replace(group.List, "@", "list/", 1))
	event := farm.LogEvent{On: farm.OnDenied, Reason: farm.LogOnly, List: list}
	l.rules.add(newChain(r.Log, accessSection, "log-only").with(logOnlyChain{counter, l.logRule(s, event)}))
	return r
}

// deny gives the rule that drops and counts a group of clients. Those of each list have a counter of their own.
func (l *linker) deny(s *service, group clients) accessRule {
	r := accessRule{clients: group, Counter: s.ownName("denied"), Origin: s.Origin("access")}
	list, isList := strings.CutPrefix(group.List, "@")
	if isList {
		r.Counter = DeniedCounter(s.Name, list)
	}
	l.counter(r.Counter, accessSection, r.Origin)
	log := l.logRule(s, farm.LogEvent{On: farm.OnDenied, Reason: string(farm.OnDenied), List: list})
	if log == nil {
		return r
	}
	r.Next = s.ownName("denied/" + strings.Replace(group.List, "@", "list/", 1))
	l.rules.add(newChain(r.Next, accessSection, "deny").with(denyChain{r.Counter, log}))
	return r
}

// DeniedCounter is the name of the counter of packets that a farm denies because of a list.
func DeniedCounter(farm, list string) string { return ownName(farm, "denied/list/"+list) }

// LogOnlyCounter is the name of the counter of packets that a farm logs in place of denying them, because of a list.
// The list "" stands for the addresses in the farm itself.
func LogOnlyCounter(of, list string) string {
	if list == "" {
		return ownName(of, farm.LogOnly)
	}
	return ownName(of, farm.LogOnly+"/list/"+list)
}

// allowed gives the clients that the farm neither denies nor limits.
func (l *linker) allowed(s *service, family addr.Family) []clients {
	key := "exempt"
	if s.Access.Exempt.Empty() {
		key = "allow"
	}
	return l.clients(s, key, s.Access.Free(), family)
}

// counter adds a counter. It is an object of its own, so that it keeps its count when rules change.
func (l *linker) counter(name string, of section, origin *diag.Origin) {
	l.rules.add(&object{table: Inet, kind: KindCounter, Name: name, section: of, template: "counter", origin: origin})
}

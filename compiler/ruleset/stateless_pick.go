package ruleset

import (
	"fmt"
	"slices"
	"strconv"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A statelessPick is a chain that picks a backend for a request, and gives the request the backend's address and port
// without connection tracking.
type statelessPick struct {
	Name string
	numbering
	Shared      bool     // by farms of one kind, with the frontends in the keys; else of one farm or maglev table
	HasSlowPath bool     // it leaves the packets of the slow path to the stack
	Of          frontend // one of the frontends
	Steps       []statelessStep
	Origin      *diag.Origin

	newSet *slotMap // counts new connections; nil: there are none to count
}

// A statelessStep is for the backends with one port behind one interface. Its map lacks the others, so a request that
// is not for them goes on to the next step, unchanged: the same request has the same slot in each, or each step draws
// one, see draws.
type statelessStep struct {
	Map      *slotMap
	Port     uint16        // 0: the port that the client asked for, or one of Run
	Run      farm.PortMove // the range that its backends get on other ports; zero: none
	PortMap  string        // the map of Run
	Moves    string        // names the moved ports of its backends; "": they have none
	Protocol farm.Protocol // of a step that rewrites the port, as each protocol has its own checksum, or is fast
	Fast     bool          // it leaves the packets of the slow path to the stack
	Lean     bool          // the keys lack the protocol; a fast step is lean
	NoSYN    bool          // the rule leaves SYNs to a later one
	Then     string        // the chain that a routed request goes to; "": none
	Device   string        // ingress forwards the request to there; "": the request is routed
}

// A statelessRule is the rule of a step.
type statelessRule struct {
	*statelessPick
	statelessStep
}

// Number is how many slots there are.
func (r statelessRule) Number() int { return r.Map.Number }

// Rules are the rules of the steps.
func (p *statelessPick) Rules() []statelessRule {
	out := make([]statelessRule, len(p.Steps))
	for i, s := range p.Steps {
		out[i] = statelessRule{p, s}
	}
	return out
}

// Destination is the template of a packet's destination in the fields of shared maps.
func (p *statelessPick) Destination() string {
	switch {
	case p.HasSlowPath && p.Of.Specificity == farm.ExactPort:
		return "destination-fast"
	case p.Of.lean:
		return "destination-lean"
	}
	return "destination-" + kindName(p.Of.Specificity)
}

// frontendKey is the frontend in the keys of shared maps.
func (p *statelessPick) frontendKey(d frontend) string {
	switch p.Destination() {
	case "destination-fast":
		return fmt.Sprintf("host . %s . %s . ", d.Address, d.Ports)
	case "destination-lean":
		return fmt.Sprintf("%s . %s . ", d.Address, d.Ports)
	}
	return d.key() + " . "
}

// Leaves reports whether a step does not tell the packets of the slow path itself.
func (p *statelessPick) Leaves() bool {
	return p.HasSlowPath && slices.ContainsFunc(p.Steps, func(s statelessStep) bool { return s.Protocol == "" })
}

// statelessPick gives the verdict that leads to the chain that rewrites the frontend's requests.
func (l *linker) statelessPick(d frontend) verdict {
	a := l.assignment(d)
	switch {
	case d.farm.Persistence != nil && len(a.eligible) > 0:
		return goTo(l.statelessTwoStep(d, a))
	case len(a.serving) == 0:
		return drop
	case d.sharesStatelessPick(a):
		return goTo(l.sharedStatelessPick(d, a))
	}
	return goTo(l.ownStatelessPick(d, a))
}

// ownStatelessPick gives the farm's own chain, or that of a maglev table.
func (l *linker) ownStatelessPick(d frontend, a *slotAssignment) string {
	name, slots := d.pickNames(a, "stateless-")
	if d.farm.MovesPorts() { // the chains of several ports ask the same maps
		name += "/" + d.Ports.String()
	}
	p := l.statelessChain(name, d)
	if len(p.Steps) == 0 {
		p.Origin = d.farm.Origin("scheduler")
		l.addSlots(d.farm, len(a.slots))
	}
	for _, step := range l.addSteps(p, d, a, slots) {
		switch {
		case step.Map.elements.size() > 0:
		case d.farm.PerPacket:
			step.fillDrawn(p, d, a)
		default:
			step.fill(d, a, "")
		}
	}
	l.countStateless(p, d, newName(slots)+"-"+d.Family.Suffix(), "")
	return name
}

// statelessChain gives the chain of that name.
func (l *linker) statelessChain(name string, d frontend) *statelessPick {
	o := newChain(name, statelessSection, "stateless-pick").at(d.farm.table())
	return obtain(&l.rules, o, func() *statelessPick {
		return &statelessPick{Name: name, numbering: d.farm.numbering(d.Family), Of: d, HasSlowPath: d.farm.slow != nil}
	})
}

// addSteps adds the steps that the frontend's protocol needs, and gives the steps with a new map.
func (l *linker) addSteps(p *statelessPick, d frontend, a *slotAssignment, slots string) (fresh []statelessStep) {
	for _, b := range a.serving {
		step := d.statelessStep(b)
		l.rewritePort(&step, d)
		if slices.ContainsFunc(p.Steps, func(s statelessStep) bool {
			return s.sameBackends(step) && s.Protocol == step.Protocol
		}) {
			continue
		}
		if i := slices.IndexFunc(p.Steps, step.sameBackends); i >= 0 {
			step.Map = p.Steps[i].Map // of another protocol
		} else {
			name := slots + step.String() + "-" + d.Family.Suffix()
			if p.Shared {
				name += step.protocolPart()
			}
			step.Map = l.statelessMap(p, d, name, len(a.slots))
			fresh = append(fresh, step)
		}
		p.Steps = append(p.Steps, step)
	}
	return fresh
}

// statelessMap gives the map of a step. The step's chain says which fields stand in the keys.
func (l *linker) statelessMap(p *statelessPick, d frontend, name string, number int) *slotMap {
	o := newMap(name, statelessSection, "stateless-slots").at(d.farm.table())
	return obtain(&l.rules, o, func() *slotMap {
		m := &slotMap{object: o, numbering: p.numbering, Number: number, Prefix: noPrefix}
		if p.Shared {
			m.Keys = p.Destination()
		}
		return m
	})
}

// fill assigns slots to the backends of the step; before stands before them in the keys.
func (s statelessStep) fill(d frontend, a *slotAssignment, before string) {
	for slot, i := range a.slots {
		if b := a.serving[i]; s.sameBackends(d.statelessStep(b)) {
			s.Map.elements.add(d.farm.backendElement(b, before+strconv.Itoa(slot), b.Address[d.Family].String()))
		}
	}
}

// fillDrawn assigns the numbers that the step of the chain draws to its backends.
func (s statelessStep) fillDrawn(p *statelessPick, d frontend, a *slotAssignment) {
	stepOf := make([]int, len(a.slots))
	for slot, i := range a.slots {
		stepOf[slot] = slices.IndexFunc(p.Steps, d.statelessStep(a.serving[i]).sameBackends)
	}
	draws := d.farm.draws(stepOf)
	for slot, i := range a.slots {
		if b := a.serving[i]; s.sameBackends(d.statelessStep(b)) {
			s.Map.Number = draws.numbers[stepOf[slot]]
			s.Map.elements.add(d.farm.backendElement(b, strconv.Itoa(draws.slots[slot]), b.Address[d.Family].String()))
		}
	}
}

// statelessStep is the step that the backend needs for requests to the frontend, without a map.
func (d frontend) statelessStep(b farm.Backend) statelessStep {
	step := statelessStep{Port: b.Port, Fast: d.farm.slow != nil, Lean: d.farm.slow != nil || d.lean}
	if step.Lean && !d.Portless() {
		step.Protocol = d.Protocol
	}
	if len(b.Ports) > 0 {
		step.Moves = movesName(b.Ports)
		switch to := b.PortFor(d.Ports.First); {
		case to == d.Ports.First:
		case d.Ports.Single():
			step.Port = to
		default:
			step.Run = b.Moves(d.Ports)[0] // all of it: validation refuses parts
		}
	}
	if s := d.farm; len(s.Interfaces) > 0 {
		step.Device = s.InterfaceOf(b)
	}
	return step
}

// RewritesPort reports whether requests get another port.
func (s statelessStep) RewritesPort() bool { return s.Port != 0 || s.Run.To.First != 0 }

// rewritePort completes a step that rewrites the port of requests to the frontend.
func (l *linker) rewritePort(s *statelessStep, d frontend) {
	if !s.RewritesPort() {
		return
	}
	s.Protocol = d.Protocol
	if s.Port == 0 {
		s.PortMap = l.portRun(d, d.farm.table(), s.Run.From, s.Run.To)
	}
}

// sameBackends reports whether two steps are for the same backends. Backends with moved ports get the requests to each
// frontend on another port. A lean step is of one protocol.
func (s statelessStep) sameBackends(other statelessStep) bool {
	return s.Moves == other.Moves && s.Device == other.Device && (s.Moves != "" || s.Port == other.Port) &&
		(!s.Lean || s.Protocol == other.Protocol)
}

// protocolPart names the protocol of a lean step, which the keys lack.
func (s statelessStep) protocolPart() string {
	if !s.Lean || s.Protocol == "" {
		return ""
	}
	return "-" + string(s.Protocol)
}

// String is the step as part of a name.
func (s statelessStep) String() (out string) {
	if s.Device != "" {
		out = "/" + s.Device
	}
	if s.Moves != "" {
		return out + "/" + s.Moves
	}
	if s.Port != 0 {
		out += "/" + strconv.Itoa(int(s.Port))
	}
	return out
}

// stepsName names the steps that the backends need; "" if all of them keep the port and are routed.
func (d frontend) stepsName(backends []farm.Backend) string {
	var words []string
	for _, b := range backends {
		switch step := d.statelessStep(b); {
		case step.Device != "":
			words = append(words, step.Device+"/"+strconv.Itoa(int(step.Port)))
		case step.Port != 0:
			words = append(words, strconv.Itoa(int(step.Port)))
		default:
			words = append(words, "same")
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	if slices.Equal(words, []string{"same"}) {
		return ""
	}
	return shortened(words, maxPartName)
}

// sharesStatelessPick reports whether the frontend can stand in the keys of maps that many farms share.
func (d frontend) sharesStatelessPick(a *slotAssignment) bool {
	s := d.farm
	return s.Scheduler != farm.RoundRobin && s.Scheduler != farm.Random && s.sharesNumber(d.Family) &&
		len(a.slots) <= maxSharedSlots && d.sharesKeys()
}

// sharedStatelessPick adds the frontend to the maps of its kind, and gives the chain that asks them: of farms that take
// their requests from the same interfaces, pick alike, and have backends with the same ports behind the same
// interfaces.
func (l *linker) sharedStatelessPick(d frontend, a *slotAssignment) string {
	s, kind := d.farm, d.farm.statelessKind()
	if d.Specificity == farm.WholeAddress {
		kind += "-all"
	}
	d.lean = len(s.Interfaces) == 0 && d.Specificity == farm.ExactPort
	name := d.sharedName(kind, a)
	if steps := d.stepsName(a.serving); len(s.Interfaces) > 0 {
		name += "/" + shortened(s.PresentInterfaces(), maxPartName) + "//" + steps
	} else if steps != "" {
		name += "/" + steps
	}
	p := l.statelessChain(name, d)
	p.Shared = true
	l.addSharedSteps(p, d, a)
	if l.isNew(d) {
		l.addSlots(s, len(a.slots))
		for i, step := range p.Steps {
			if slices.IndexFunc(p.Steps, step.sameBackends) == i { // steps of several protocols share a map
				step.fill(d, a, p.frontendKey(d))
			}
		}
		l.countStateless(p, d, newName("slots-"+name), p.frontendKey(d))
	}
	return name
}

// statelessKind begins the names of chains that the farm shares. Chains of slow paths are asked only for packets of
// their interfaces.
func (s *service) statelessKind() string {
	switch {
	case s.slow != nil:
		return "stateless-fast"
	case len(s.slowAt) > 0:
		return "stateless-slow"
	}
	return "stateless"
}

// addSharedSteps adds the steps that the frontend's protocol needs. The map of a chain's only step has the chain's
// name.
func (l *linker) addSharedSteps(p *statelessPick, d frontend, a *slotAssignment) {
	only := d.statelessStep(a.serving[0])
	if slices.ContainsFunc(a.serving, func(b farm.Backend) bool {
		return !only.sameBackends(d.statelessStep(b))
	}) {
		l.addSteps(p, d, a, "slots-"+p.Name)
		return
	}
	only.Map = l.statelessMap(p, d, "slots-"+p.Name+only.protocolPart(), len(a.slots))
	l.rewritePort(&only, d)
	if !slices.ContainsFunc(p.Steps, func(s statelessStep) bool { return s.Protocol == only.Protocol }) {
		p.Steps = append(p.Steps, only)
	}
}

package ruleset

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A dsrPick is a chain of table netdev farmc that picks a backend for a frame and forwards the frame, which keeps its
// destination; or a chain that forwards a frame by its mark, the ID of its backend.
type dsrPick struct {
	Name string
	numbering
	Shared bool     // by farms of one kind, with the frontends in the keys; else of one farm or maglev table
	Of     frontend // one of the frontends
	Target bool     // the mark is the ID of the backend
	Here   bool     // this machine is a backend, see dsr_here.go
	Steps  []dsrStep
	Origin *diag.Origin

	Kept   *dsrMap // a target's marks of this machine; nil: there are none
	newSet *dsrMap // counts new connections; nil: there are none to count
}

// A dsrStep forwards to the backends behind one interface. Its map lacks the others, so a frame that is not for them
// goes on to the next step: the same frame has the same slot in each, or each step draws one, see draws.
type dsrStep struct {
	Map    *dsrMap
	Device string
	ByMAC  bool // the map holds MAC addresses, else IP addresses, and the kernel finds the neighbour
}

// A dsrMap is the map of a step.
type dsrMap struct {
	*object
	Pick   *dsrPick // the first chain that asks it
	ByMAC  bool
	Number int // of slots
}

// Rule is the rule that asks the map.
func (m *dsrMap) Rule() dsrRule { return dsrRule{m.Pick, dsrStep{Map: m, ByMAC: m.ByMAC}} }

// A dsrRule is the rule of a step.
type dsrRule struct {
	*dsrPick
	dsrStep
}

// Number is how many slots there are.
func (r dsrRule) Number() int { return r.Map.Number }

// Rules are the rules of the steps.
func (p *dsrPick) Rules() []dsrRule {
	out := make([]dsrRule, len(p.Steps))
	for i, s := range p.Steps {
		out[i] = dsrRule{p, s}
	}
	return out
}

// First is the rule of the first step.
func (p *dsrPick) First() dsrRule { return p.Rules()[0] }

// Form names the templates of the frontends in the keys of shared maps.
func (p *dsrPick) Form() string {
	return (&dispatchMap{Specificity: p.Of.Specificity, Fragments: p.Of.fragment}).Form()
}

// Destination is the template of a packet's destination in the fields of shared maps.
func (p *dsrPick) Destination() string { return "destination-" + p.Form() }

// dsrPick gives the verdict that leads to the chain that forwards the frontend's frames.
func (l *linker) dsrPick(d frontend) verdict {
	a := l.assignment(d)
	switch {
	case d.farm.Persistence != nil && len(a.eligible) > 0:
		return goTo(l.dsrTwoStep(d, a))
	case len(a.serving) == 0:
		return drop
	case d.sharesDSRPick(a):
		return goTo(l.sharedDSRPick(d, a))
	}
	return goTo(l.ownDSRPick(d, a))
}

// ownDSRPick gives the farm's own chain, or that of a maglev table.
func (l *linker) ownDSRPick(d frontend, a *slotAssignment) string {
	name, slots := d.pickNames(a, "")
	if d.farm.Scheduler == farm.Maglev { // farms with other backends that are down have the same table
		name, slots = name+l.hereName(d), slots+l.hereName(d)
	}
	if d.quoted {
		name += "-error"
	}
	p := obtain(&l.rules, dsrChain(name, "dsr-pick"), func() *dsrPick {
		p := &dsrPick{Name: name, numbering: d.numbering(), Here: l.isBackend(d), Of: d,
			Origin: d.farm.Origin("scheduler")}
		stepOf := l.stepsOfSlots(p, d, a)
		draws := d.farm.draws(stepOf)
		for i := range p.Steps {
			step := &p.Steps[i]
			step.Map = l.dsrMap(p, slots+"/"+step.String()+"-"+d.Family.Suffix(), *step, draws.numbers[i])
		}
		for slot, i := range a.slots {
			if at := stepOf[slot]; at < len(p.Steps) && !d.quoted { // else the other chain fills the maps
				p.Steps[at].Map.elements.add(d.forwarded(a.serving[i], strconv.Itoa(draws.slots[slot])))
			}
		}
		l.addSlots(d.farm, len(a.slots))
		return p
	})
	l.countOwnDSR(p, d, slots)
	return name
}

func dsrChain(name, template string) *object {
	return newChain(name, dsrSection, template).at(Netdev)
}

// numbering is how rules compute the number of the frontend's slot.
func (d frontend) numbering() numbering {
	n := d.farm.numbering(d.Family)
	n.Quoted = d.quoted
	return n
}

// dsrMap gives the map of a step.
func (l *linker) dsrMap(p *dsrPick, name string, s dsrStep, slots int) *dsrMap {
	o := newMap(name, dsrSection, "dsr-slots").at(Netdev)
	return obtain(&l.rules, o, func() *dsrMap { return &dsrMap{o, p, s.ByMAC, slots} })
}

// step gives the chain's step for a backend, and adds it if it is new.
func (p *dsrPick) step(s *service, b farm.Backend) *dsrStep { return &p.Steps[p.stepIndex(s, b)] }

// stepIndex is step, by its place among the steps.
func (p *dsrPick) stepIndex(s *service, b farm.Backend) int {
	want := dsrStep{nil, s.InterfaceOf(b), b.MAC != ""}
	i := slices.IndexFunc(p.Steps, func(o dsrStep) bool { return o.Device == want.Device && o.ByMAC == want.ByMAC })
	if i < 0 {
		i = len(p.Steps)
		p.Steps = append(p.Steps, want)
	}
	return i
}

// String is the step as part of a name.
func (s dsrStep) String() string { return s.Device + map[bool]string{true: "//mac"}[s.ByMAC] }

// forwarded is the element that leads from a key to a backend.
func (d frontend) forwarded(b farm.Backend, key string) element {
	return d.farm.backendElement(b, key, cmp.Or(b.MAC, b.Address[d.Family].String()))
}

// add has frames with the key forwarded to a backend.
func (p *dsrPick) add(d frontend, b farm.Backend, key string) {
	p.step(d.farm, b).Map.elements.add(d.forwarded(b, key))
}

// maxForwardWidth is the number of registers that the fields of a hash may take in a rule that forwards IPv6; nft 1.0.6
// aborts beyond. A number of wider fields is put into the packet mark first, which nothing else sees: the frame leaves
// the machine after the rule. maxSharedForwardWidth is the same for IPv4, in a rule that asks a shared map.
const (
	maxForwardWidth       = 8
	maxSharedForwardWidth = 4
)

// Marked reports whether the number of the slot, or the ID of the backend, is in the packet mark.
func (p *dsrPick) Marked() bool {
	return p.Target ||
		p.Scheduler != farm.SymmetricHash && (p.Quoted && p.Shared || p.isWide() || p.rewritesHashedField())
}

// isWide reports whether the hashed fields are too wide for the rule that forwards.
func (p *dsrPick) isWide() bool {
	if p.Shared {
		return p.Family == addr.IP6 || widthOfIP4(p.HashOn) > maxSharedForwardWidth
	}
	return p.Family == addr.IP6 && width(p.HashOn) > maxForwardWidth
}

// rewritesHashedField reports whether a step that gives a frame a MAC address changes its source, which the next step
// hashes.
func (p *dsrPick) rewritesHashedField() bool {
	return slices.Contains(p.HashOn, farm.SourceMAC) && p.rewritesMAC()
}

func (p *dsrPick) rewritesMAC() bool {
	return slices.ContainsFunc(p.Steps, func(s dsrStep) bool { return s.ByMAC })
}

// sharesDSRPick reports whether the frontend can stand in the keys of maps that many farms share.
func (d frontend) sharesDSRPick(a *slotAssignment) bool {
	return d.farm.Scheduler != farm.Maglev && d.hashesAlone() && len(a.slots) <= maxSharedSlots &&
		(d.fragment && d.Specificity.Bits() == 0 || d.sharesKeys())
}

// hashesAlone reports whether the number of a frame's slot follows from the frame alone.
func (d frontend) hashesAlone() bool {
	switch d.farm.Scheduler {
	case farm.Hash, farm.SymmetricHash, farm.Maglev:
		return true
	}
	return false
}

// leavesOthers reports whether rules of a base chain can ask the maps of the chain: they change no frame that its maps
// lack, and keep none.
func (p *dsrPick) leavesOthers() bool {
	return p.Shared && !p.Here && !p.Target && !p.Marked() && !p.rewritesMAC()
}

// sharedDSRPick adds the frontend to the maps of its kind, and gives the chain that asks them: of farms that take their
// frames from the same interfaces, pick alike, and forward to the same interfaces.
func (l *linker) sharedDSRPick(d frontend, a *slotAssignment) string {
	s, kind := d.farm, l.sharedDSR(d, a)
	name := kind.Name
	p := obtain(&l.rules, dsrChain(name, "dsr-pick"), func() *dsrPick {
		l.addStepMaps(kind, "slots-"+name, len(a.slots))
		return kind
	})
	if l.isNew(d) {
		l.addSlots(s, len(a.slots))
		key := d.key()
		for slot, i := range a.slots {
			if b := a.serving[i]; !l.isThisMachine(d, b) {
				p.add(d, b, key+" . "+strconv.Itoa(slot))
			}
		}
		if d.countsNew() {
			set := l.dsrNewSet(p, newName("slots-"+name), len(a.slots))
			set.elements.add(s.newSlots(a, key+" . ")...)
		}
	}
	return name
}

// sharedDSR gives the chain of the frontend's kind, without maps.
func (l *linker) sharedDSR(d frontend, a *slotAssignment) *dsrPick {
	s, kind := d.farm, "dsr"
	switch {
	case d.fragment:
		kind = "dsr-fragment"
	case d.Specificity == farm.WholeAddress:
		kind = "dsr-all"
	}
	kind += l.hereName(d)
	if d.quoted {
		kind += "-error"
	}
	steps := s.dsrSteps(l.elsewhere(d, a.serving))
	interfaces := shortened(s.PresentInterfaces(), maxPartName)
	name := fmt.Sprintf("%s/%s//%s", d.sharedName(kind, a), interfaces, stepNames(steps))
	return &dsrPick{Name: name, numbering: d.numbering(), Shared: true, Here: l.isBackend(d), Of: d, Steps: steps}
}

// isNew reports whether the frontend was not added to shared maps yet: it comes again at each ingress.
func (l *linker) isNew(d frontend) bool {
	if l.added[d] {
		return false
	}
	l.added[d] = true
	return true
}

// stepNames gives all steps as part of a name.
func stepNames(steps []dsrStep) string {
	words := make([]string, len(steps))
	for i, s := range steps {
		words[i] = s.String()
	}
	return shortened(words, maxPartName)
}

// addStepMaps gives the steps maps that farms share.
func (l *linker) addStepMaps(p *dsrPick, name string, slots int) {
	for i, s := range p.Steps {
		own := name
		if len(p.Steps) > 1 {
			own += "/" + s.String()
		}
		p.Steps[i].Map = l.dsrMap(p, own, s, slots)
	}
}

// dsrSteps gives the steps that the backends need, in the order of their names, without maps.
func (s *service) dsrSteps(backends []farm.Backend) []dsrStep {
	var p dsrPick
	for _, b := range backends {
		p.step(s, b)
	}
	slices.SortFunc(p.Steps, func(a, b dsrStep) int { return cmp.Compare(a.String(), b.String()) })
	return p.Steps
}

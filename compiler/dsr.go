package compiler

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A forward is a chain of the table netdev farmc that hands a frame on to a backend, which keeps its destination.
type forward struct {
	Name      string
	Family    Family
	Scheduler Scheduler
	HashOn    []HashKey
	Unled     bool  // nothing leads here, as the maps are asked directly
	Shared    bool  // by doors of Level, which stand in the keys of its maps; else it is a farm's own, or of a maglev table
	Level     level // of the doors
	Quoted    bool  // the packet to choose by is the one that an ICMP error quotes, which went the other way
	Home      bool  // the backend is chosen: what stands for it is in the packet mark
	Steps     []forwardStep
	origin    *Origin
}

// A forwardStep hands on to the backends behind one interface. Its map lacks the others', so that a frame that is not
// for them goes on to the next step: the same frame has the same slot in each.
type forwardStep struct {
	Map    *slotMap
	Device string
	ByMAC  bool // the map holds MAC addresses, else IP addresses whose neighbours the kernel finds
}

// hander gives the chain that hands the door's frames on: the farm's own, or that of a maglev table.
func (l *linker) hander(d door) string {
	deal := l.deal(d.farm, d.family)
	f := d.farm
	switch {
	case f.Persistence != nil && len(deal.takes) > 0:
		return l.attend(d, deal)
	case len(deal.backends) == 0:
		return dropVerdict
	}
	if d.handsShared(deal) {
		return l.handShared(d, deal)
	}
	name, slots := d.chainNames(deal, "")
	if d.quoted {
		name += "-error"
	}
	if !l.forwards[name] {
		l.forwards[name] = true
		fw := &forward{Name: name, Family: d.family, Scheduler: f.Scheduler, HashOn: f.HashOn, Quoted: d.quoted,
			Steps: forwardSteps(d, deal, slots), origin: f.origin("scheduler")}
		l.rules.forwards = append(l.rules.forwards, fw)
		l.count(f, len(deal.slots))
	}
	return name
}

// widestForward is how many registers the fields of a hash may take in a rule that forwards IPv6; nft 1.0.6 aborts
// beyond. A wider number is put into the packet mark first, which nobody sees: the frame is gone after the rule.
const widestForward = 8

// widestSharedForward is the same for IPv4, in a rule that forwards by a shared map.
const widestSharedForward = 4

// marked says whether the number, or what stands for a backend, takes the way by the packet mark.
func (f *forward) marked() bool {
	return f.Home || f.Scheduler != SymmetricHash && (f.Quoted && f.Shared || f.wide() || f.rewritesWhatItHashes())
}

// wide says whether the fields to hash are too wide for the rule.
func (f *forward) wide() bool {
	if f.Shared {
		return f.Family == IP6 || widthOfIP4(f.HashOn) > widestSharedForward
	}
	return f.Family == IP6 && width(f.HashOn) > widestForward
}

// rewritesWhatItHashes: a step that gives a frame a MAC address has changed its source before the next one hashes it.
func (f *forward) rewritesWhatItHashes() bool {
	return slices.Contains(f.HashOn, SourceMAC) && slices.ContainsFunc(f.Steps, func(s forwardStep) bool { return s.ByMAC })
}

// forwardSteps deals the slots to one map for each interface that backends are behind, and for each of these two if
// some of them have a MAC address of their own.
func forwardSteps(d door, deal dealing, name string) []forwardStep {
	var steps []forwardStep
	for slot, i := range deal.slots {
		b := deal.backends[i]
		device := d.farm.deviceOf(b)
		at := slices.IndexFunc(steps, func(s forwardStep) bool { return s.takes(b, device) })
		if at < 0 {
			steps = append(steps, forwardStep{nil, device, b.MAC != ""})
			at = len(steps) - 1
			steps[at].Map = &slotMap{Name: name + "/" + steps[at].words() + "-" + d.family.Suffix(), Slots: len(deal.slots)}
		}
		steps[at].Map.Elements = append(steps[at].Map.Elements, d.handed(b, fmt.Sprint(slot)))
	}
	return steps
}

// takes says whether the step is for a backend behind the interface.
func (s forwardStep) takes(b Backend, device string) bool {
	return s.Device == device && s.ByMAC == (b.MAC != "")
}

// words tell the step in names.
func (s forwardStep) words() string { return s.Device + map[bool]string{true: "//mac"}[s.ByMAC] }

// handed leads from a key to the backend.
func (d door) handed(b Backend, key string) mapElement {
	return mapElement{key, cmp.Or(b.MAC, b.Address[d.family].String()), b.origin(d.farm), false}
}

// handsShared says whether the door can stand in the keys of maps that many farms share.
func (d door) handsShared(deal dealing) bool {
	f := d.farm
	return (f.Scheduler == Hash || f.Scheduler == SymmetricHash) && len(deal.slots) <= mostSharedSlots &&
		(d.level == portLevel || d.level == addressLevel || d.level == fragmentLevel)
}

// handShared puts the door into the maps of its shape, and gives the chain that asks them.
func (l *linker) handShared(d door, deal dealing) string {
	fw := l.sharedForward(d, deal)
	if l.placed[d] {
		return fw.Name // at another interface
	}
	l.placed[d] = true
	l.count(d.farm, len(deal.slots))
	key := d.key()
	for slot, i := range deal.slots {
		fw.add(d, deal.backends[i], key+" . "+strconv.Itoa(slot))
	}
	return fw.Name
}

// add has frames with the key handed on to the backend.
func (f *forward) add(d door, b Backend, key string) {
	at := slices.IndexFunc(f.Steps, func(s forwardStep) bool { return s.takes(b, d.farm.deviceOf(b)) })
	f.Steps[at].Map.Elements = append(f.Steps[at].Map.Elements, d.handed(b, key))
}

// sharedForward gives the chain of the door's shape: of farms that take their frames from the same interfaces, choose
// alike, and hand on to the same interfaces.
func (l *linker) sharedForward(d door, deal dealing) *forward {
	f := d.farm
	kind := map[level]string{portLevel: "dsr", addressLevel: "dsr-all", fragmentLevel: "dsr-fragment"}[d.level]
	if d.quoted {
		kind += "-error"
	}
	steps := f.stepsOf(deal.backends)
	name := fmt.Sprintf("%s-%s-%d-%s/%s//%s", kind, f.schedulerName(), len(deal.slots), d.family.Suffix(), shortened(f.presentInterfaces(), longestPart), stepWords(steps))
	fw := l.sharedForwards[name]
	if fw == nil {
		fw = &forward{Name: name, Family: d.family, Scheduler: f.Scheduler, HashOn: f.HashOn, Shared: true, Level: d.level, Quoted: d.quoted, Steps: sharedSteps(steps, "slots-"+name, len(deal.slots))}
		l.sharedForwards[name] = fw
		l.rules.forwards = append(l.rules.forwards, fw)
	}
	return fw
}

// stepWords tell all steps in a name.
func stepWords(steps []forwardStep) string {
	words := make([]string, len(steps))
	for i, s := range steps {
		words[i] = s.words()
	}
	return shortened(words, longestPart)
}

// sharedSteps gives the steps maps that farms share, of so many slots.
func sharedSteps(steps []forwardStep, name string, slots int) []forwardStep {
	for i, s := range steps {
		steps[i].Map = &slotMap{Name: name, Slots: slots}
		if len(steps) > 1 {
			steps[i].Map.Name += "/" + s.words()
		}
	}
	return steps
}

// stepsOf gives the steps that the backends need, in the order of their names, with no maps yet.
func (f *Farm) stepsOf(backends []Backend) []forwardStep {
	var steps []forwardStep
	for _, b := range backends {
		if s := (forwardStep{nil, f.deviceOf(b), b.MAC != ""}); !slices.Contains(steps, s) {
			steps = append(steps, s)
		}
	}
	slices.SortFunc(steps, func(a, b forwardStep) int { return cmp.Compare(a.words(), b.words()) })
	return steps
}

// way tells where packets of the farm go: two farms of which it is the same choose the same backends for the same packets.
func (d dealing) way(f *Farm, family Family) string {
	if len(d.takes) == 0 {
		return dropVerdict
	}
	if f.Persistence != nil {
		return "the memory of " + f.Name
	}
	return string(f.Scheduler) + " " + d.maglevName(f, family)
}

type forwardView struct {
	*forward
	view
	Marked    bool // the number takes the way by the packet mark
	HashInput string
	Seed      string
	Origin    *Origin
}

func newForwardView(f *forward) forwardView {
	v := forwardView{forward: f, view: view{f.Family}, Seed: seed, Origin: f.origin}
	input := hashInput(f.HashOn, f.Family)
	if f.Quoted {
		input = quotedInput(f.HashOn, f.Family)
	}
	v.HashInput = strings.Join(input, " . ")
	v.Marked = f.marked()
	return v
}

// Form is the template of the doors in the keys of the forward's maps.
func (v forwardView) Form() string { return levelNames[v.Level] }

// To is the template of what a packet goes to, in the words of these maps.
func (v forwardView) To() string { return "to-" + v.Form() }

// Number is how many slots there are.
func (v forwardView) Number() int { return v.Steps[0].Map.Slots }

// Maps are the forward's maps, of IP addresses or of MAC addresses.
func (v forwardView) Maps() []stepView {
	out := make([]stepView, len(v.Steps))
	for i, s := range v.Steps {
		out[i] = stepView{s, v}
	}
	return out
}

type stepView struct {
	forwardStep
	forwardView
}

func (s stepView) elements() []mapElement { return s.Map.Elements }

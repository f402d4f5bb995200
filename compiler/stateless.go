package compiler

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A translation is a chain that gives a request the address of its backend, and the backend's port, with no connection
// tracking.
type translation struct {
	Name      string
	Family    Family
	Scheduler Scheduler
	HashOn    []HashKey
	Unled     bool  // nothing leads here, as the maps are asked directly
	Shared    bool  // by doors of Level, which stand in the keys of its maps; else it is a farm's own, or of a maglev table
	Level     level // of the doors
	Steps     []translationStep
	origin    *Origin
}

// A translationStep is for the backends of one port behind one interface. Its map lacks the others, so that a request that
// is not for them goes on to the next step, unchanged: the same request has the same slot in each.
type translationStep struct {
	Map      *slotMap
	Port     uint16   // 0: the one that was asked for
	Protocol Protocol // of a step that rewrites the port, as each protocol has its own checksum
	Device   string   // hands on from ingress to there; "": the request takes its way through the stack
}

// A reply is what tells a backend's replies to the requests through a door: the address and the ports that they come
// from.
type reply struct {
	of      *door
	address netip.Addr
	ports   Ports
	port    uint16 // what they are to come from; 0: the port that they do
	backend *Backend
}

// translator gives the chain that rewrites the door's requests.
func (l *linker) translator(d door) string {
	deal := l.deal(d.farm, d.family)
	switch {
	case d.farm.Persistence != nil && len(deal.takes) > 0:
		return l.escort(d, deal)
	case len(deal.backends) == 0:
		return dropVerdict
	}
	if d.translatesShared(deal) {
		return l.translateShared(d, deal)
	}
	name, slots := d.chainNames(deal, "stateless-")
	tr := l.translation(name, d)
	if len(tr.Steps) == 0 {
		tr.origin = d.farm.origin("scheduler")
		l.count(d.farm, len(deal.slots))
	}
	for _, m := range tr.take(d, deal, slots) {
		tr.fill(m, d, deal, "")
	}
	return name
}

// translation gives the chain of that name.
func (l *linker) translation(name string, d door) *translation {
	tr := l.translations[name]
	if tr == nil {
		tr = &translation{Name: name, Family: d.family, Scheduler: d.farm.Scheduler, HashOn: d.farm.HashOn}
		l.translations[name] = tr
		if len(d.farm.Interfaces) > 0 {
			l.rules.ingressTranslations = append(l.rules.ingressTranslations, tr)
		} else {
			l.rules.translations = append(l.rules.translations, tr)
		}
	}
	return tr
}

// take adds the steps that the door's protocol needs, and gives those of which the map is new.
func (tr *translation) take(d door, deal dealing, slots string) (fresh []translationStep) {
	for _, b := range deal.backends {
		step := d.farm.stepTo(b)
		if step.Port != 0 {
			step.Protocol = d.protocol
		}
		if slices.ContainsFunc(tr.Steps, func(s translationStep) bool { return s.same(step) && s.Protocol == step.Protocol }) {
			continue
		}
		if i := slices.IndexFunc(tr.Steps, step.same); i >= 0 {
			step.Map = tr.Steps[i].Map // dealt for another protocol
		} else {
			step.Map = &slotMap{Name: slots + step.words() + "-" + d.family.Suffix(), Slots: len(deal.slots)}
			fresh = append(fresh, step)
		}
		tr.Steps = append(tr.Steps, step)
	}
	return fresh
}

// fill deals the slots of the backends that the step is for; what stands before them in its map's keys is before.
func (tr *translation) fill(step translationStep, d door, deal dealing, before string) {
	for slot, i := range deal.slots {
		if b := deal.backends[i]; step.same(d.farm.stepTo(b)) {
			step.Map.Elements = append(step.Map.Elements, mapElement{before + strconv.Itoa(slot), b.Address[d.family].String(), b.origin(d.farm), false})
		}
	}
}

// stepTo is the step that the backend needs, with no map yet.
func (f *Farm) stepTo(b Backend) translationStep {
	return translationStep{Port: b.Port, Device: f.handedTo(b)}
}

// same says whether two steps are for the same backends.
func (s translationStep) same(other translationStep) bool {
	return s.Port == other.Port && s.Device == other.Device
}

// words tell the step in names.
func (s translationStep) words() (out string) {
	if s.Device != "" {
		out = "/" + s.Device
	}
	if s.Port != 0 {
		out += "/" + strconv.Itoa(int(s.Port))
	}
	return out
}

// stepsTo names the steps to all of the backends.
func (f *Farm) stepsTo(backends []Backend) string {
	var words []string
	for _, b := range backends {
		switch s := f.stepTo(b); {
		case s.Device != "":
			words = append(words, fmt.Sprintf("%s/%d", s.Device, s.Port))
		case s.Port != 0:
			words = append(words, strconv.Itoa(int(s.Port)))
		default:
			words = append(words, "same")
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	if slices.Equal(words, []string{"same"}) {
		return ""
	}
	return shortened(words, longestPart)
}

// translatesShared says whether the door can stand in the keys of maps that many farms share.
func (d door) translatesShared(deal dealing) bool {
	f := d.farm
	return (f.Scheduler == SymmetricHash || f.Scheduler == Hash && (d.family == IP4 || width(f.HashOn) <= widestSharedKey)) &&
		len(deal.slots) <= mostSharedSlots && (d.level == portLevel || d.level == addressLevel)
}

// translateShared puts the door into the maps of its shape, and gives the chain that asks them. Of a shape are farms that
// take their requests from the same interfaces, choose alike, and have backends of the same ports behind the same ones.
func (l *linker) translateShared(d door, deal dealing) string {
	f := d.farm
	kind := map[level]string{portLevel: "stateless", addressLevel: "stateless-all"}[d.level]
	name := fmt.Sprintf("%s-%s-%d-%s", kind, f.schedulerName(), len(deal.slots), d.family.Suffix())
	if way := f.stepsTo(deal.backends); len(f.Interfaces) > 0 {
		name += "/" + shortened(f.presentInterfaces(), longestPart) + "//" + way
	} else if way != "" {
		name += "/" + way
	}
	tr := l.translation(name, d)
	tr.Shared, tr.Level = true, d.level
	for _, step := range tr.take(d, deal, "slots-"+name) {
		if !slices.ContainsFunc(deal.backends, func(b Backend) bool { return !step.same(f.stepTo(b)) }) {
			step.Map.Name = "slots-" + name // there is no other
		}
	}
	if l.placed[d] {
		return name // at another interface
	}
	l.placed[d] = true
	l.count(d.farm, len(deal.slots))
	for i, step := range tr.Steps {
		if slices.IndexFunc(tr.Steps, step.same) == i { // steps of several protocols share a map
			tr.fill(step, d, deal, d.key()+" . ")
		}
	}
	return name
}

// handedTo is the interface that requests for the backend are handed on to from ingress, "" if they are routed.
func (f *Farm) handedTo(b Backend) string {
	if len(f.Interfaces) == 0 {
		return ""
	}
	return f.deviceOf(b)
}

// replies gives what the door's backends answer with. With a whole address it is any port, whatever the protocol.
func (d *door) replies() []reply {
	var out []reply
	for i := range d.farm.Backends {
		b := &d.farm.Backends[i]
		if !b.Address.Has(d.family) {
			continue
		}
		r := reply{of: d, address: b.Address[d.family], ports: d.ports, backend: b}
		switch {
		case d.level == addressLevel:
			r.ports = Ports{0, 65535}
		case b.Port != 0 && d.ports != (Ports{b.Port, b.Port}):
			r.ports, r.port = Ports{b.Port, b.Port}, d.ports.First
		}
		out = append(out, r)
	}
	return out
}

// from is the backend as a door.
func (r reply) from() door {
	d := *r.of
	d.address, d.ports = r.address, r.ports
	return d
}

// readdress has the replies of stateless farms come from the service again.
func (l *linker) readdress(doors []door) {
	var all []reply
	for i := range doors {
		if d := &doors[i]; d.farm.Mode == Stateless {
			all = append(all, d.replies()...)
		}
	}
	compared := comparedRanges(all)
	for _, r := range all {
		from := r.from()
		from.compared = from.level == rangeLevel && slices.Contains(compared, r.ports)
		l.readdressOne(r, from)
	}
	slices.SortFunc(l.rules.originals, func(a, b *verdictMap) int { // of ranges, what most replies come from is asked first
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Family, b.Family), cmp.Compare(len(b.Elements), len(a.Elements)), cmp.Compare(a.Name, b.Name))
	})
}

// mostCompared is how many ranges rules compare the ports of replies with. Each costs a packet that gets to it some 190
// instructions, in two hooks. Replies of the others are told by intervals in keys: of n the kernel takes n² time to load
// them, and a packet looks through all, which costs 500 instructions more than a hash for two backends, and 15,000 for 400.
const mostCompared = 8

// comparedRanges are the ranges that most replies come from.
func comparedRanges(all []reply) []Ports {
	having := map[Ports]int{}
	for _, r := range all {
		if r.of.level == rangeLevel {
			having[r.ports]++
		}
	}
	ranges := slices.SortedFunc(maps.Keys(having), func(a, b Ports) int {
		return cmp.Or(cmp.Compare(having[b], having[a]), cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last))
	})
	return ranges[:min(mostCompared, len(ranges))]
}

func (l *linker) readdressOne(r reply, from door) {
	originals := l.lead(&l.rules.originals, "original-", from, r.of.address.String())
	if r.port == 0 {
		originals.Final = true
		return
	}
	name := fmt.Sprintf("reply-%d-%s", r.port, r.of.family.Suffix())
	l.lead(&l.rules.replies, "reply-", from, "goto "+name)
	if !l.forwards[name] {
		l.forwards[name] = true
		l.rules.replyPorts = append(l.rules.replyPorts, replyPort{name, r.of.family, r.port})
	}
}

// A replyPort is the chain of the replies that are to come from one port.
type replyPort struct {
	Name   string
	Family Family
	Port   uint16
}

// ambiguous finds replies that could belong to two services: a reply carries the backend's address and port and
// nothing else, so with stateless each of them must lead back to one address and port.
func ambiguous(doors []door, faults *Diagnostics) {
	if !slices.ContainsFunc(doors, func(d door) bool { return d.farm.Mode == Stateless }) {
		return
	}
	var all []reply
	for i := range doors {
		if d := &doors[i]; d.farm.Mode != DSR && d.farm.Mode != Local {
			all = append(all, d.replies()...)
		}
	}
	slices.SortStableFunc(all, func(a, b reply) int {
		return cmp.Or(a.address.Compare(b.address), cmp.Compare(a.ports.First, b.ports.First))
	})
	told := map[[2]*Listen]bool{}
	for _, protocol := range []Protocol{TCP, UDP, SCTP} {
		var at netip.Addr
		var before furthest
		for i := range all {
			r := &all[i]
			if r.of.level != addressLevel && r.of.protocol != protocol {
				continue
			}
			if r.address != at {
				at, before = r.address, furthest{}
			}
			for _, other := range before.confusedWith(r) {
				if pair := [2]*Listen{other.of.listen, r.of.listen}; !told[pair] {
					told[pair] = true
					*faults = append(*faults, confusion(other, r))
				}
			}
			before.take(r)
		}
	}
}

// furthest are, of the replies of one backend address and protocol so far, in the order of their first ports, those whose
// ports reach furthest: of stateless farms the furthest of all, and the furthest to another service than that one;
// and the furthest of the other farms. If one is confused with any of those before, then with one of these.
type furthest struct {
	stateless, another, tracked *reply
}

func (f *furthest) take(r *reply) {
	beyond := func(other *reply) bool { return other == nil || r.ports.Last > other.ports.Last }
	switch {
	case r.of.farm.Mode != Stateless:
		if beyond(f.tracked) {
			f.tracked = r
		}
	case f.stateless != nil && !f.stateless.sameService(r):
		if beyond(f.stateless) {
			f.another, f.stateless = f.stateless, r
		} else if beyond(f.another) {
			f.another = r
		}
	case beyond(f.stateless):
		f.stateless = r
	}
}

// confusedWith gives which of those the reply, which begins at no lower port, could be taken for.
func (f *furthest) confusedWith(r *reply) (out []*reply) {
	for _, other := range []*reply{f.stateless, f.another, f.tracked} {
		if other != nil && other.ports.Last >= r.ports.First && other.confuses(r) {
			out = append(out, other)
		}
	}
	return out
}

// confuses says of two replies with the same backend, protocol and port whether one could be taken for the other.
func (r *reply) confuses(o *reply) bool {
	switch {
	case r.of.farm.Mode == Stateless && o.of.farm.Mode == Stateless:
		return !r.sameService(o)
	case r.of.farm.Mode == Stateless || o.of.farm.Mode == Stateless:
		return true
	}
	return false // connection tracking knows
}

func (r *reply) sameService(o *reply) bool { return r.of.address == o.of.address && r.port == o.port }

func confusion(a, b *reply) Diagnostic {
	if b.of.farm.Mode != Stateless {
		a, b = b, a
	}
	d := Diagnostic{
		Farm:  b.of.farm.Name,
		Place: b.of.listen.Place,
		Message: fmt.Sprintf("a reply of the backend %s could be one of %s or of %s, and mode stateless remembers no connections",
			b.from().where(), b.of.where(), a.of.where()),
		Hint: "another port on the backend for each service, or mode dnat",
	}
	if a.of.listen != b.of.listen {
		d.Also = []Note{{a.of.listen.Place, "the other service, of the farm " + a.of.farm.Name}}
	}
	return d
}

func (d door) where() string {
	where := "every address of this machine"
	if d.address.IsValid() {
		where = d.address.String()
	}
	if d.level == addressLevel {
		return where
	}
	return where + ", " + string(d.protocol) + " " + d.ports.String()
}

type replyPortView struct {
	replyPort
	view
}

type translationView struct {
	Name  string
	Unled bool
	Views []translationStepView
}

type translationStepView struct {
	translationStep
	view
	Shared    bool
	Level     level
	Scheduler Scheduler
	HashInput string
	Seed      string
	Origin    *Origin
}

// Number is how many slots there are.
func (v translationStepView) Number() int { return v.Map.Slots }

// To is the template of what a packet goes to, in the words of the map.
func (v translationStepView) To() string { return "to-" + levelNames[v.Level] }

func (v translationStepView) elements() []mapElement { return v.Map.Elements }

// Maps are those of the steps, once each: steps for several protocols share one.
func (v translationView) Maps() []translationStepView {
	return slices.CompactFunc(slices.SortedStableFunc(slices.Values(v.Views), func(a, b translationStepView) int {
		return strings.Compare(a.Map.Name, b.Map.Name)
	}), func(a, b translationStepView) bool { return a.Map == b.Map })
}

func translationViews(all []*translation) []translationView {
	out := make([]translationView, len(all))
	for i, t := range all {
		out[i].Name, out[i].Unled = t.Name, t.Unled
		for _, s := range t.Steps {
			out[i].Views = append(out[i].Views, translationStepView{s, view{t.Family}, t.Shared, t.Level, t.Scheduler,
				strings.Join(hashInput(t.HashOn, t.Family), " . "), seed, t.origin})
		}
	}
	return out
}

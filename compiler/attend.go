package compiler

import (
	"fmt"
	"net/netip"
	"slices"
)

// An attendance hands on the frames of a farm that knows its clients. There is no connection that could tell whether a client
// is known, so each packet asks, and renews its time. What stands for a backend is a packet mark, which nobody sees: the
// frame is gone in the end.
type attendance struct {
	Name      string
	Family    Family
	Scheduler Scheduler
	HashOn    []HashKey
	Clientele *clientele
	Slots     *slotMap // nil if no backend serves
	Home      string   // the chain that leads from a mark to the backend
	Steps     []forwardStep
	origin    *Origin
}

// attend gives the chain that hands the frames of a farm with persistence on.
func (l *linker) attend(d door, deal dealing) string {
	f := d.farm
	a := &attendance{Name: ownName(f, d.family.Suffix()), Home: ownName(f, "home-"+d.family.Suffix()), Family: d.family, Scheduler: f.Scheduler,
		HashOn: f.HashOn, origin: f.origin("scheduler")}
	if l.forwards[a.Name] {
		return a.Name
	}
	l.forwards[a.Name] = true
	a.Clientele = f.clientele(d.family, deal.stands)
	a.Steps = homeSteps(d, deal)
	if len(deal.slots) > 0 {
		a.Slots = pickSlots(f, d.family, deal)
		l.count(f, len(deal.slots))
	}
	l.rules.attendances = append(l.rules.attendances, a)
	return a.Name
}

// homeSteps lead to the backends behind each interface from what stands for them.
func homeSteps(d door, deal dealing) []forwardStep {
	var steps []forwardStep
	for _, b := range deal.takes {
		device := d.farm.deviceOf(b)
		at := slices.IndexFunc(steps, func(s forwardStep) bool { return s.takes(b, device) })
		if at < 0 {
			steps = append(steps, forwardStep{nil, device, b.MAC != ""})
			at = len(steps) - 1
			steps[at].Map = &slotMap{Name: ownName(d.farm, "home/"+steps[at].words()+"-"+d.family.Suffix())}
		}
		steps[at].Map.Elements = append(steps[at].Map.Elements, d.handed(b, d.farm.stand(deal.stands[b.Name])))
	}
	return steps
}

// stand is what stands for a backend, in the words of a map: an address, or a mark where frames keep theirs.
func (f *Farm) stand(at netip.Addr) string {
	if f.Mode == DSR {
		return fmt.Sprintf("0x%x", lastBytes(at))
	}
	return at.String()
}

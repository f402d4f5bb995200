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

// An attendanceView is an attendance in nft's words.
type attendanceView struct {
	*attendance
	view
	Clientele *clienteleView
	Maps      []attendedView
	Picks     []attendedView // none if no backend serves
	Origin    *Origin
}

// An attendedView is a map of an attendance.
type attendedView struct {
	forwardStep
	forwardView
}

func (v attendedView) elements() []mapElement { return v.Map.Elements }

// Number is how many slots there are.
func (v attendedView) Number() int { return v.Map.Slots }

func newAttendanceView(a *attendance) attendanceView {
	v := attendanceView{attendance: a, view: view{a.Family}, Clientele: newClienteleView(a.Clientele, a.Home, a.origin), Origin: a.origin}
	as := newForwardView(&forward{Family: a.Family, Scheduler: a.Scheduler, HashOn: a.HashOn, origin: a.origin})
	for _, s := range a.Steps {
		v.Maps = append(v.Maps, attendedView{s, as})
	}
	if a.Slots != nil {
		v.Picks = []attendedView{{forwardStep{Map: a.Slots}, as}}
	}
	return v
}

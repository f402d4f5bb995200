package compiler

import (
	"fmt"
	"net/netip"
)

// An attendance hands on the frames of a farm that knows its clients. There is no connection that could tell whether a client
// is known, so each packet asks, and renews its time. What stands for a backend is a packet mark, which nobody sees: the
// frame is gone in the end.
type attendance struct {
	Name      string
	Family    Family
	Scheduler Scheduler
	HashOn    []HashKey
	Keyed     keying // of the maps that it shares
	Clientele *clientele
	Pick      string   // the chain that picks what stands for a backend; "": the slots hold it
	Slots     *slotMap // nil if no backend serves, or another chain picks
	Home      *forward // leads from a mark to the backend
	origin    *Origin
}

// marks says whether what stands for a backend of the farm is a packet mark.
func (f *Farm) marks() bool { return f.Mode == DSR }

// attend gives the chain that hands the frames of a farm with persistence on, and adds the door to what it leads to.
func (l *linker) attend(d door, deal dealing) string {
	name := ownName(d.farm, d.family.Suffix())
	a := l.attendances[name]
	if a == nil {
		a = l.newAttendance(name, d, deal)
	}
	if a.Keyed == byDatagram {
		d = door{level: fragmentLevel, family: d.family, address: d.address, protocol: d.protocol, farm: d.farm}
	}
	if a.Keyed == bySlot || l.placed[d] { // at another interface
		return name
	}
	l.placed[d] = true
	a.Home.lead(d, deal)
	if a.Pick != "" {
		l.pick(d, deal)
	}
	return name
}

func (l *linker) newAttendance(name string, d door, deal dealing) *attendance {
	f := d.farm
	a := &attendance{Name: name, Family: d.family, Scheduler: f.Scheduler, HashOn: f.HashOn, Keyed: l.attendedBy(f, d.family, len(deal.takes)),
		Clientele: f.clientele(d.family, deal.stands), origin: f.origin("scheduler")}
	a.Home = l.attendedHome(a.Keyed, d, deal)
	shares := a.Keyed != bySlot
	if shares {
		d.level = a.Keyed.level()
	}
	a.Pick, a.Slots = l.picker(d, deal, shares)
	l.attendances[name] = a
	l.rules.attendances = append(l.rules.attendances, a)
	return a
}

// attendedBy is what stands before a mark in the keys of the maps that lead the farm's frames. Later fragments have no
// ports that could be looked up: so it is no port, unless the farm has another one beside it by the same protocol at its
// address, and gets no later fragment at all. One that has both kinds of doors shares nothing.
func (l *linker) attendedBy(f *Farm, family Family, backends int) keying {
	keyed, alone, doors := f.keying(family, backends), true, 0
	for _, d := range f.doors() {
		if d.family == family {
			alone = alone && d.level <= rangeLevel && l.datagrams[datagram{d.protocol, d.address}] == f
			doors++
		}
	}
	switch {
	case alone && doors*backends <= mostSharedSlots:
		return byDatagram
	case l.fragmented[dealt{f, family}]:
		return bySlot
	}
	return keyed
}

// level is that of the doors in the keys.
func (k keying) level() level {
	return [...]level{byDoor: portLevel, byAddress: addressLevel, byDatagram: fragmentLevel}[k]
}

// attendedHome gives the chain that leads to the farm's backends. Farms share one whose backends need the same steps.
func (l *linker) attendedHome(keyed keying, d door, deal dealing) *forward {
	f, steps := d.farm, d.farm.stepsOf(deal.takes)
	if keyed == bySlot {
		h := &forward{Name: ownName(f, "home-"+d.family.Suffix()), Family: d.family, Home: true, Steps: steps, origin: f.origin("scheduler")}
		for i, s := range steps {
			h.Steps[i].Map = &slotMap{Name: ownName(f, "home/"+s.words()+"-"+d.family.Suffix())}
		}
		h.lead(d, deal)
		l.rules.forwards = append(l.rules.forwards, h)
		return h
	}
	kind := [...]string{byDoor: "", byAddress: "-all", byDatagram: "-datagram"}[keyed]
	name := fmt.Sprintf("-dsr%s-%s/%s", kind, d.family.Suffix(), stepWords(steps))
	h := l.sharedForwards["home"+name]
	if h == nil {
		h = &forward{Name: "home" + name, Family: d.family, Home: true, Shared: true, Level: keyed.level(), Steps: sharedSteps(steps, "homes"+name, 0)}
		l.sharedForwards[h.Name] = h
		l.rules.forwards = append(l.rules.forwards, h)
	}
	return h
}

// lead has the door's frames led home.
func (f *forward) lead(d door, deal dealing) {
	begin := ""
	if f.Shared {
		begin = d.key() + " . "
	}
	for _, b := range deal.takes {
		f.add(d, b, begin+d.farm.stand(deal.stands[b.Name]))
	}
}

// stand is what stands for a backend, in the words of a map: an address, or a mark where frames keep theirs.
func (f *Farm) stand(at netip.Addr) string {
	if f.marks() {
		return fmt.Sprintf("0x%x", lastBytes(at))
	}
	return at.String()
}

// An attendanceView is an attendance in nft's words.
type attendanceView struct {
	*attendance
	Clientele *clienteleView
	Slots     []slotView
	Origin    *Origin
}

// Serves says whether some backend takes clients that aren't known.
func (v attendanceView) Serves() bool { return v.Pick != "" || len(v.Slots) > 0 }

func newAttendanceView(a *attendance) attendanceView {
	v := attendanceView{attendance: a, Clientele: newClienteleView(a.Clientele, a.Home.Name, a.origin), Origin: a.origin}
	if a.Slots != nil {
		v.Slots = newSlotViews([]*slotMap{a.Slots}, &choice{Family: a.Family, Keyed: bySlot, Scheduler: a.Scheduler, HashOn: a.HashOn, Marked: true, origin: a.origin})
	}
	return v
}

package ruleset

import (
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// After a change of a few plain farms among thousands, the script is linked of these farms, of the farms that are not
// plain, and of one plain farm for each kind: the objects are then those of all farms, because plain farms of one kind
// ask for the same objects. The elements of the other plain farms are taken over from the last script. A feature that
// tells farms apart by more than the name of their kind says has to stand in kindName.

// plainKind gives the number of the kind of a service; 0 if it is not plain. Services of one kind differ in addresses,
// ports and names alone.
func (s *Services) plainKind(of *service) int {
	if !of.kindKnown {
		of.kindKnown = true
		if name := of.kindName(); name != "" {
			if s.kinds == nil {
				s.kinds = map[string]int{}
			}
			if s.kinds[name] == 0 {
				s.kinds[name] = len(s.kinds) + 1
			}
			of.kind = s.kinds[name]
		}
	}
	return of.kind
}

// kindName names the kind of a service by all that other objects than elements depend on; "" if it is not plain: its
// elements may depend on those of other farms.
func (s *service) kindName() string {
	if s.Down || s.Mode != farm.SNAT && s.Mode != farm.DNAT || !s.IsPlain() {
		return ""
	}
	var name strings.Builder
	fmt.Fprint(&name, s.Mode, " ", s.schedulerName(), s.Masquerade, s.LocalClients, s.PassInvalid)
	for i := range s.frontends {
		d := &s.frontends[i]
		n := d.sharedSlots()
		if n == 0 || d.Specificity != farm.ExactPort || d.Protocol != farm.TCP || d.Address.IsLoopback() ||
			len(d.replySources().ranged) > 0 {
			return ""
		}
		fmt.Fprint(&name, " ", d.Family, " ", n)
	}
	return name.String()
}

// A linkState is the objects of a script, to be taken over by the next one.
type linkState struct {
	farms    []*farm.Farm
	services []*service // of the farms
	plain    []bool     // by the farms: the elements follow from the farm alone
	objects  map[objectID]*object
	routes   routedFarms
	size     scriptSize
}

// newLinkState describes a script of services.
func (s *Services) newLinkState(farms []*farm.Farm, services []*service, l *linker, size scriptSize) *linkState {
	out := &linkState{farms: farms, services: services, plain: make([]bool, len(services)), objects: l.rules.objects,
		routes: l.routes.farms, size: size}
	for i, of := range services {
		out.plain[i] = s.followsAlone(of)
	}
	return out
}

// followsAlone reports whether the elements of a service follow from its farm alone.
func (s *Services) followsAlone(of *service) bool {
	return s.plainKind(of) != 0 && !s.sockets.shared(of)
}

// takeOver finds the services whose elements can be taken over from the last script, and marks them. It reports whether
// there are any.
func (s *Services) takeOver(from *linkState, farms []*farm.Farm, services []*service, all []*frontend) bool {
	s.round++
	if from == nil || !s.markUnchanged(from, farms, services) {
		s.round++ // none is marked
		return false
	}
	s.unmarkFirst(all)
	return slices.ContainsFunc(services, s.isTaken)
}

// isTaken reports whether the elements of the service are taken over.
func (s *Services) isTaken(of *service) bool { return of.takenIn == s.round }

// markUnchanged marks the plain services that the last script has, too. It reports whether all others of the two
// scripts, too, are plain or the same. Both are in the order of names.
func (s *Services) markUnchanged(from *linkState, farms []*farm.Farm, services []*service) bool {
	i, j := 0, 0
	for i < len(farms) || j < len(from.farms) {
		switch {
		case i < len(farms) && j < len(from.farms) && farms[i] == from.farms[j]:
			if services[i] != from.services[j] { // it lacks an interface
				return false
			}
			if from.plain[j] && s.followsAlone(services[i]) {
				services[i].takenIn = s.round
			}
			i, j = i+1, j+1
		case j == len(from.farms) || i < len(farms) && farms[i].Name < from.farms[j].Name:
			if s.plainKind(services[i]) == 0 {
				return false
			}
			i++
		default: // the last script has another farm of this name, or the farm is gone
			if s.plainKind(from.services[j]) == 0 {
				return false
			}
			j++
		}
	}
	return true
}

// A kindNumber is a frontend of a kind of services.
type kindNumber struct{ kind, number int }

// unmarkFirst has the first service of each kind linked again: objects have their parts in the order in which frontends
// ask for them first.
func (s *Services) unmarkFirst(all []*frontend) {
	known := map[kindNumber]bool{}
	for _, d := range all {
		if of := (kindNumber{s.plainKind(d.farm), d.number}); of.kind != 0 && !known[of] {
			known[of] = true
			d.farm.takenIn = 0
		}
	}
}

// takenSlots is the number of slots of the services whose elements are taken over.
func (s *Services) takenSlots(services []*service) (sum int) {
	for _, of := range services {
		if s.isTaken(of) {
			sum += of.sharedSlots()
		}
	}
	return min(sum, slots.Max)
}

// takenRoutes are the routes of these services.
func (s *Services) takenRoutes(from *linkState) (out routedFarms) {
	for _, f := range from.routes {
		if s.isTaken(f.farm) {
			out = append(out, f)
		}
	}
	return out
}

// takenKinds are the kinds of the services whose elements are taken over.
func (s *Services) takenKinds(services []*service) map[int]bool {
	kinds := map[int]bool{}
	for _, of := range services {
		if s.isTaken(of) {
			kinds[of.kind] = true
		}
	}
	return kinds
}

// addTaken adds the elements that are taken over. It reports whether all of them are there and have found their places.
func (s *Services) addTaken(from *linkState, services []*service, rules *ruleset) bool {
	t := taking{s, s.takenKinds(services)}
	for id, o := range rules.objects {
		was := from.objects[id]
		if was == nil {
			was = &object{}
		}
		if !t.addTo(&o.elements, &was.elements) {
			return false
		}
	}
	for id, was := range from.objects {
		if rules.objects[id] == nil && !t.addTo(&elementList{}, &was.elements) {
			return false
		}
	}
	return true
}

// A taking takes elements over from the last script.
type taking struct {
	*Services
	kinds map[int]bool // of the services whose elements are taken over
}

// addTo adds the elements that one object takes over.
func (t taking) addTo(now, was *elementList) bool {
	var singles, pieces bool
	now.single, singles = withTaken(t, now.single, was.single, func(e *element) owner { return e.owner })
	now.pieces, pieces = withTaken(t, now.pieces, was.pieces, func(p **piece) owner { return (*p).owner })
	return singles && pieces
}

// withTaken adds elements of the last script that are taken over, in the order of the frontends. It reports whether
// each of them comes after one of a frontend of its kind, so that the object has all that its kind asks for, and
// whether the last script has elements of each of these kinds: an object that it had no need for has none.
func withTaken[E any](t taking, now, was []E, of func(*E) owner) (out []E, ok bool) {
	i, known, taken := 0, map[kindNumber]bool{}, map[kindNumber]bool{}
	for w := range was {
		own := of(&was[w])
		if own.farm == nil || !t.isTaken(own.farm) {
			continue
		}
		if out == nil {
			out = make([]E, 0, len(was)+len(now))
		}
		for ; i < len(now) && of(&now[i]).rank() < own.rank(); i++ {
			if of(&now[i]).farm == nil {
				return nil, false
			}
			known[t.kindNumber(of(&now[i]))] = true
			out = append(out, now[i])
		}
		kind := t.kindNumber(own)
		if !known[kind] {
			return nil, false
		}
		taken[kind] = true
		out = append(out, was[w])
	}
	for n := range now {
		if own := of(&now[n]); own.farm != nil && t.kinds[t.plainKind(own.farm)] && !taken[t.kindNumber(own)] {
			return nil, false
		}
	}
	if out == nil {
		return now, true
	}
	return append(out, now[i:]...), true
}

// rank is the place of the frontend among all frontends; -1 if there is no frontend.
func (o owner) rank() int {
	if o.farm == nil {
		return -1
	}
	return o.farm.ranks[o.number]
}

func (s *Services) kindNumber(o owner) kindNumber { return kindNumber{s.plainKind(o.farm), o.number} }

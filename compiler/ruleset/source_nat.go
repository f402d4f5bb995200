package ruleset

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// postroutingHook translates the source of connections that have a backend.
var postroutingHook = baseChain{name: "postrouting", section: dispatchSection, prefix: "source-"}

// A sourceNAT is a chain that chooses the source address that backends see: of a backend, else of the farm, else the
// one that the route to the backend names, else the one that the kernel finds when the packet leaves.
type sourceNAT struct {
	Family    addr.Family
	Address   netip.Addr   // not valid: this machine's own, or one of Pool
	Pool      *sourcePool  // nil: one address
	Addresses *backendMap  // the map from backends to their source addresses; nil: there is none
	Slots     int          // of each backend in Addresses, one for each address of its range; 0: each has one address
	Routes    *routeTable  // sources by routes; nil: the chain asks none
	AnyPort   bool         // the kernel gives connections any source port, but for ports below 1024
	OtherPort *portReplace // of clients whose source port backends must not see; nil: they see every port
	Origin    *diag.Origin
}

// sourceNAT dispatches the connections of farms in mode snat to the chain that chooses their source, and connections of
// farms with hairpin to the chain that chooses it for some clients.
func (l *linker) sourceNAT(established []frontend) {
	l.dispatch(postroutingHook, established, func(d frontend) verdict {
		switch d.farm.Mode {
		case farm.SNAT:
			return goTo(l.sourceChain(d, d.TakesAnyPort(len(l.assignment(d).serving))))
		case farm.DNAT:
			if d.Address.IsLoopback() { // no backend could answer a client that has a loopback address
				return goTo(l.sourceChain(d, false))
			}
			return goTo(l.hairpinChain(d))
		}
		return noVerdict
	})
	l.addRouteMaps()
}

// sourceChain gives one chain for all farms that leave the source to the machine, one for all that masquerade, one for
// each address that farms name, and a farm's own if its backends have sources of their own; and the same chains again
// for connections that take any source port.
func (l *linker) sourceChain(d frontend, anyPort bool) string {
	s, name := d.farm, "masquerade-all"
	source := s.Source[d.Family]
	named := s.Source.Has(d.Family)
	routed := l.machine.Route != nil && !named && !s.Masquerade
	switch {
	case named:
		name = "source-" + strings.ReplaceAll(source.String(), ":", ".") // a colon would end the name
	case s.Masquerade:
		name = "masquerade-always"
	case routed:
		l.routes.add(d, l.assignment(d).eligible)
	}
	own, slots := s.backendSources(d.Family)
	if len(own) > 0 {
		name = s.ownName("source-" + d.Family.Suffix())
	}
	base := name
	if anyPort {
		name += "/any-port"
	}
	o := newChain(name, sourceNATSection, "source-nat")
	obtain(&l.rules, o, func() *sourceNAT {
		c := &sourceNAT{Family: d.Family, AnyPort: anyPort}
		switch {
		case named && source.Single():
			c.Address = source.First
		case named:
			c.Pool = l.sourcePool(d.Family, source)
		}
		if routed {
			c.Routes = &l.routes
		}
		if len(own) > 0 {
			c.Addresses, c.Slots = l.sourcesByBackend(d, own, slots), slots
			c.Origin = s.Origin("source-address")
		}
		c.OtherPort = l.replacePorts(base, *c)
		return c
	})
	return name
}

// backendSources are the source addresses of backends that have their own, and the slots of each backend.
func (s *service) backendSources(family addr.Family) (out []element, slots int) {
	if !s.traitsOf(family).ownSources {
		return nil, 0
	}
	hasNone := func(b farm.Backend) bool { return !b.Source.Has(family) }
	eligible := slices.DeleteFunc(slices.Clone(s.Eligible(family)), hasNone)
	if slots = farm.SourceSlots(eligible, family); slots == 1 {
		for _, b := range eligible {
			out = append(out, s.backendElement(b, b.Address[family].String(), b.Source[family].String()))
		}
		return out, 0
	}
	for _, b := range eligible {
		all := b.Source[family].All()
		for slot := range slots {
			key := fmt.Sprintf("%s . %d", b.Address[family], slot)
			out = append(out, s.backendElement(b, key, all[slot%len(all)].String()))
		}
	}
	return out, slots
}

// findsSources reports whether a backend has a source of its own. It copies no backend: there are 100,000.
func (s *service) findsSources(family addr.Family) bool {
	for i := range s.Backends {
		if s.Backends[i].Source.Has(family) {
			return true
		}
	}
	return false
}

// A backendMap is a map from the addresses of a farm's backends.
type backendMap struct {
	*object
	Family addr.Family
	Slots  int // of a backend, which stand in the key; 0: none
}

// backendMap gives a map of the farm's own. Backends with one address, on different ports, have the same element.
func (l *linker) backendMap(d frontend, name, template string, of section, elements []element) *backendMap {
	o := newMap(d.farm.ownName(name+d.Family.Suffix()), of, template)
	return obtain(&l.rules, o, func() *backendMap {
		for _, e := range elements {
			o.elements.addOnce(e)
		}
		return &backendMap{object: o, Family: d.Family}
	})
}

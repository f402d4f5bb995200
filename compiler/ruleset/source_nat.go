package ruleset

import (
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
	Address   netip.Addr   // not valid: this machine's own
	Addresses *object      // the map from backends to their source addresses; nil: there is none
	Routes    *routeTable  // sources by routes; nil: the chain asks none
	OtherPort *portReplace // of clients whose source port backends must not see; nil: they see every port
	Origin    *diag.Origin
}

// sourceNAT dispatches the connections of farms in mode snat to the chain that chooses their source.
func (l *linker) sourceNAT(established []frontend) {
	l.dispatch(postroutingHook, established, func(d frontend) verdict {
		if d.farm.Mode != farm.SNAT {
			return noVerdict
		}
		return goTo(l.sourceChain(d))
	})
	l.addRouteMaps()
}

// sourceChain gives one chain for all farms that leave the source to the machine, one for all that masquerade, one for
// each address that farms name, and a farm's own if its backends have sources of their own.
func (l *linker) sourceChain(d frontend) string {
	s, name := d.farm, "masquerade-all"
	address := s.Source[d.Family]
	routed := l.machine.Route != nil && !address.IsValid() && !s.Masquerade
	switch {
	case address.IsValid():
		name = "source-" + strings.ReplaceAll(address.String(), ":", ".") // a colon would end the name
	case s.Masquerade:
		name = "masquerade-always"
	case routed:
		l.routes.add(d, l.assignment(d).eligible)
	}
	own := s.backendSources(d.Family)
	if len(own) > 0 {
		name = s.ownName("source-" + d.Family.Suffix())
	}
	o := newChain(name, sourceNATSection, "source-nat")
	obtain(&l.rules, o, func() *sourceNAT {
		c := &sourceNAT{Family: d.Family, Address: address}
		if routed {
			c.Routes = &l.routes
		}
		if len(own) > 0 {
			c.Addresses = l.backendMap(d, "sources-", "source-addresses-by-backend", sourceNATSection, own)
			c.Origin = s.Origin("source-address")
		}
		c.OtherPort = l.replacePorts(name, c)
		return c
	})
	return name
}

// backendSources are the source addresses of backends that have their own.
func (s *service) backendSources(family addr.Family) (out []element) {
	if !s.hasBackendSource(family) {
		return nil
	}
	for _, b := range s.Eligible(family) {
		if b.Source.Has(family) {
			out = append(out, s.backendElement(b, b.Address[family].String(), b.Source[family].String()))
		}
	}
	return out
}

// hasBackendSource reports whether a backend has a source of its own. It copies no backend: there are 100,000.
func (s *service) hasBackendSource(family addr.Family) bool {
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
}

// backendMap gives a map of the farm's own. Backends with one address, on different ports, have the same element.
func (l *linker) backendMap(d frontend, name, template string, of section, elements []element) *object {
	o := newMap(d.farm.ownName(name+d.Family.Suffix()), of, template)
	obtain(&l.rules, o, func() *backendMap {
		for _, e := range elements {
			if !slices.ContainsFunc(o.elements.single, func(other element) bool { return other.key == e.key }) {
				o.elements.add(e)
			}
		}
		return &backendMap{o, d.Family}
	})
	return o
}

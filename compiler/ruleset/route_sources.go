package ruleset

import (
	"cmp"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A RouteSource is the source address of connections that leave by an interface, to one backend or to all. Connections
// that leave by another interface have the address that the kernel finds then (masquerade).
type RouteSource struct {
	Interface string     `json:"interface"`
	Backend   netip.Addr `json:"backend,omitzero"` // not valid: all backends of the source's family
	Source    netip.Addr `json:"source"`
}

// A routeTable is the routes to the backends of farms that leave the source address to the machine.
type routeTable struct {
	routes map[netip.Addr]Route // by backend
	added  map[farmFamily]bool

	sources     []RouteSource
	ByBackend   []*routeMap // the maps that exist, IPv4 before IPv6
	ByInterface []*routeMap
}

// A routeMap is a map to source addresses from interfaces, or from interfaces and backends.
type routeMap struct {
	*object
	Family addr.Family
}

// add asks for the routes to the backends of a frontend's farm.
func (t *routeTable) add(d frontend, ask func(backend netip.Addr) Route) {
	if t.routes == nil {
		t.routes, t.added = map[netip.Addr]Route{}, map[farmFamily]bool{}
	}
	of := farmFamily{d.farm, d.Family}
	if t.added[of] {
		return
	}
	t.added[of] = true
	for _, b := range d.farm.Eligible(d.Family) {
		backend := b.Address[d.Family]
		if _, asked := t.routes[backend]; !asked && !b.Source.Has(d.Family) {
			t.routes[backend] = ask(backend)
		}
	}
}

// addRouteMaps adds an element for each interface if all backends behind it have the same source, else one for each
// backend. The maps stand apart, as the key of a map is of one length.
func (l *linker) addRouteMaps() {
	t := &l.routes
	all := t.behind()
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(s RouteSource) bool { return !all[0].samePlace(s) })
		if n < 0 {
			n = len(all)
		}
		t.sources = append(t.sources, inCommon(all[:n])...)
		all = all[n:]
	}
	for _, s := range t.sources {
		l.addRouteSource(s)
	}
}

// behind gives the routes by interfaces, sorted by family, interface and backend.
func (t *routeTable) behind() (out []RouteSource) {
	for backend, route := range t.routes {
		if farm.NamesInterface(route.Interface) {
			out = append(out, RouteSource{route.Interface, backend, route.Source})
		}
	}
	slices.SortFunc(out, func(a, b RouteSource) int {
		return cmp.Or(cmp.Compare(a.Backend.BitLen(), b.Backend.BitLen()), cmp.Compare(a.Interface, b.Interface),
			a.Backend.Compare(b.Backend))
	})
	return out
}

// samePlace reports whether both routes are of one family and leave by one interface.
func (s RouteSource) samePlace(other RouteSource) bool {
	return s.Interface == other.Interface && s.Backend.BitLen() == other.Backend.BitLen()
}

// inCommon gives one source for all backends if the routes agree, else the sources of the backends that have one.
func inCommon(routes []RouteSource) []RouteSource {
	differs := func(s RouteSource) bool { return s.Source != routes[0].Source }
	if !slices.ContainsFunc(routes, differs) {
		routes = []RouteSource{{Interface: routes[0].Interface, Source: routes[0].Source}}
	}
	return slices.DeleteFunc(routes, func(s RouteSource) bool { return !s.Source.IsValid() })
}

// addRouteSource adds the element of a source, and its map to the maps that exist.
func (l *linker) addRouteSource(s RouteSource) {
	family, device := addr.FamilyOf(s.Source), `"`+s.Interface+`"`
	maps, key := &l.routes.ByInterface, device
	o := newMap("interface-sources-"+family.Suffix(), sourceNATSection, "sources-by-interface")
	if s.Backend.IsValid() {
		maps, key = &l.routes.ByBackend, device+" . "+s.Backend.String()
		o = newMap("backend-sources-"+family.Suffix(), sourceNATSection, "sources-by-backend")
	}
	m := obtain(&l.rules, o, func() *routeMap {
		*maps = append(*maps, &routeMap{o, family})
		return (*maps)[len(*maps)-1]
	})
	m.elements.add(element{key: key, value: s.Source.String()})
}

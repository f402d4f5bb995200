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
	farms routedFarms
	added map[farmFamily]bool

	sources     []RouteSource
	ByBackend   []*routeMap // the maps that exist, IPv4 before IPv6
	ByInterface []*routeMap
}

// routedFarms are the farms that sources are looked for.
type routedFarms []routedFarm

// A routedFarm is a farm whose backends of a family are routed.
type routedFarm struct {
	farm     *service
	family   addr.Family
	backends []farm.Backend
	common   *commonRoute // of the farm and the family
}

// A commonRoute is the route that all backends of a farm have in common, as nearly all farms have one. It is kept from
// one script to the next.
type commonRoute struct {
	version uint64 // of the routes; 0: not known
	source  RouteSource
	exists  bool
}

// A routeMap is a map to source addresses from interfaces, or from interfaces and backends.
type routeMap struct {
	*object
	Family addr.Family
}

// add adds the backends of a frontend's farm.
func (t *routeTable) add(d frontend, backends []farm.Backend) {
	if t.added == nil {
		t.added = map[farmFamily]bool{}
	}
	if of := (farmFamily{d.farm, d.Family}); !t.added[of] {
		t.added[of] = true
		t.farms = append(t.farms, routedFarm{d.farm, d.Family, backends, &d.farm.commonRoutes[d.Family]})
	}
}

// each calls do with the route to each backend without a source of its own.
func (f routedFarm) each(ask func(backend netip.Addr) Route, do func(RouteSource)) {
	for i := range f.backends {
		if b := &f.backends[i]; !b.Source.Has(f.family) {
			r := ask(b.Address[f.family])
			do(RouteSource{r.Interface, b.Address[f.family], r.Source})
		}
	}
}

// differing calls do at least once for each interface and source among the routes to the backends. It asks for none
// that is known: 100,000 of them take a tenth of a second.
func (f routedFarm) differing(m Machine, do func(RouteSource)) {
	if f.common.version == 0 || f.common.version != m.RouteVersion {
		*f.common = f.findCommon(m)
	}
	if f.common.exists {
		do(f.common.source)
	} else {
		f.each(m.Route, do)
	}
}

func (f routedFarm) findCommon(m Machine) commonRoute {
	out := commonRoute{version: m.RouteVersion}
	sources := 0
	f.each(m.Route, func(s RouteSource) {
		if sources == 0 || !s.leavesLike(out.source) {
			sources++
		}
		out.source = s
	})
	out.exists = sources == 1
	return out
}

// leavesLike reports whether connections leave by the same interface, in the same family, with the same source.
func (s RouteSource) leavesLike(o RouteSource) bool {
	return s.Interface == o.Interface && s.Source == o.Source && s.Backend.BitLen() == o.Backend.BitLen()
}

// addRouteMaps adds an element for each source. The maps stand apart, as the key of a map is of one length.
func (l *linker) addRouteMaps() {
	l.routes.sources = l.routes.farms.find(l.machine)
	for _, s := range l.routes.sources {
		l.addRouteSource(s)
	}
}

// find gives one source for an interface if all backends behind it have the same, else one for each backend, sorted by
// family, interface and backend.
func (t routedFarms) find(m Machine) []RouteSource {
	common, differing := t.byPlace(m)
	sources := append(common, t.behind(m, differing)...)
	slices.SortFunc(sources, compareSources)
	return slices.Compact(sources)
}

// A routePlace is an interface and a family of backends.
type routePlace struct {
	device string
	bits   int
}

func (s RouteSource) place() routePlace { return routePlace{s.Interface, s.Backend.BitLen()} }

// byPlace gives the sources that all backends behind an interface have in common, and the interfaces whose backends
// have different ones. Interfaces that rules cannot name are left out.
func (t routedFarms) byPlace(m Machine) (common []RouteSource, differing map[routePlace]bool) {
	sources := map[routePlace]netip.Addr{}
	differing = map[routePlace]bool{}
	var last RouteSource
	add := func(s RouteSource) {
		if s.leavesLike(last) {
			return // as of nearly all backends
		}
		last = s
		first, known := sources[s.place()]
		if !known {
			sources[s.place()] = s.Source
		} else if first != s.Source {
			differing[s.place()] = true
		}
	}
	for _, f := range t {
		f.differing(m, add)
	}
	for at, source := range sources {
		switch {
		case !farm.NamesInterface(at.device):
			delete(differing, at)
		case !differing[at] && source.IsValid():
			common = append(common, RouteSource{Interface: at.device, Source: source})
		}
	}
	return common, differing
}

// behind gives the sources of the backends behind some interfaces.
func (t routedFarms) behind(m Machine, interfaces map[routePlace]bool) (out []RouteSource) {
	if len(interfaces) == 0 {
		return nil
	}
	add := func(s RouteSource) {
		if s.Source.IsValid() && interfaces[s.place()] {
			out = append(out, s)
		}
	}
	for _, f := range t {
		f.each(m.Route, add)
	}
	return out
}

// compareSources orders sources by family, interface and backend.
func compareSources(a, b RouteSource) int {
	return cmp.Or(cmp.Compare(a.Source.BitLen(), b.Source.BitLen()), cmp.Compare(a.Interface, b.Interface),
		a.Backend.Compare(b.Backend))
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

package live

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/cmd/internal/machine"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// masquerade stands for the source address that the kernel finds when a packet leaves.
const masquerade = "masquerade"

// A place says where a source address is in use.
type place struct {
	device  string
	backend netip.Addr // not valid: for all backends of the family
	family  addr.Family
}

func placeOf(s ruleset.RouteSource) place {
	return place{s.Interface, s.Backend, addr.FamilyOf(s.Source)}
}

func (p place) String() string {
	if p.backend.IsValid() {
		return fmt.Sprintf("on %s towards %s", p.device, p.backend)
	}
	return fmt.Sprintf("on %s (%s)", p.device, p.family)
}

func sourcesByPlace(of []ruleset.RouteSource) map[place]netip.Addr {
	out := map[place]netip.Addr{}
	for _, s := range of {
		out[placeOf(s)] = s.Source
	}
	return out
}

// sourceChanges describes the differences between two loads, a phrase each.
func sourceChanges(before, after []ruleset.RouteSource) []string {
	was, is := sourcesByPlace(before), sourcesByPlace(after)
	var out []string
	for _, s := range slices.Concat(before, after) {
		at := placeOf(s)
		if was[at] != is[at] {
			out = append(out, fmt.Sprintf("source address %s %s → %s", at, orMasquerade(was[at]), orMasquerade(is[at])))
			was[at] = is[at]
		}
	}
	return out
}

func orMasquerade(a netip.Addr) string {
	if !a.IsValid() {
		return masquerade
	}
	return a.String()
}

// portChanges describes ports that are served now, and ports that are served no more.
func portChanges(before, after []uint16) []string {
	var out []string
	for _, port := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(before, after)))) {
		switch had, has := slices.Contains(before, port), slices.Contains(after, port); {
		case !had:
			out = append(out, fmt.Sprintf("this machine serves on port %d", port))
		case !has:
			out = append(out, fmt.Sprintf("this machine no longer serves on port %d", port))
		}
	}
	return out
}

// addSources sets the source addresses that backends see. Routes are the ones of the last load.
func (s *Status) addSources(farms []*farm.Farm, routes []ruleset.RouteSource) {
	if s.Rules != RulesLoaded {
		routes = nil // the rules of the boot masquerade
	}
	in := sourcesInUse{loaded: sourcesByPlace(routes)}
	defer in.routes.Close()
	byName := farmsByName(farms)
	for i := range s.Farms {
		if f := byName[s.Farms[i].Name]; f.Mode == farm.SNAT {
			sources := map[string][]string{}
			for _, b := range f.Backends {
				sources[b.Name] = in.of(f, b)
			}
			for j := range s.Farms[i].Backends {
				b := &s.Farms[i].Backends[j]
				b.Source = append(b.Source, sources[b.Name]...)
			}
		}
	}
}

// A sourcesInUse finds the source address that the loaded rules give to a new connection.
type sourcesInUse struct {
	loaded map[place]netip.Addr
	routes machine.Routes
}

// of gives the source for each address of a backend.
func (in *sourcesInUse) of(f *farm.Farm, b farm.Backend) (out []string) {
	for _, family := range addr.Families {
		switch {
		case !b.Address.Has(family):
		case b.Source.Has(family):
			out = append(out, b.Source[family].String())
		case f.Source.Has(family):
			out = append(out, f.Source[family].String())
		case f.Masquerade || len(in.loaded) == 0:
			out = append(out, masquerade)
		default:
			out = append(out, orMasquerade(in.byRoute(b.Address[family])))
		}
	}
	return out
}

// byRoute gives the source of the interface that the route to a backend leads to now.
func (in *sourcesInUse) byRoute(backend netip.Addr) netip.Addr {
	device := in.routes.To(backend).Interface
	at := place{device, backend, addr.FamilyOf(backend)}
	if source := in.loaded[at]; source.IsValid() {
		return source
	}
	at.backend = netip.Addr{}
	return in.loaded[at]
}

package ruleset

import (
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Connections that this machine itself opens do not pass prerouting. A base chain at the output hook asks the same maps
// for them, so that they cost no second map. Farms with local-clients = false are exceptions: a map before each shared
// map has the frontends that serve remote clients only. Packets of this machine are in no zone, so the chain asks no
// map of a zone.

// dispatchBoth is dispatch at two base chains: of packets from outside, and of packets that this machine sends. In the
// second one only farms with local-clients get their verdict.
func (l *linker) dispatchBoth(in, out baseChain, frontends []frontend, of func(frontend) verdict) {
	verdicts := verdictsOf(frontends, of)
	h := l.dispatchVerdicts(in, frontends, verdicts)
	if h == nil {
		return
	}
	d := localDispatch{linker: l, base: out, general: l.mostGeneralLocal(out, frontends, verdicts)}
	for i := range frontends {
		f := &frontends[i]
		if verdicts[i] != noVerdict && !f.farm.LocalClients && f.farm.Zone == 0 && d.asks(f.Specificity, f.Family) {
			v := accept
			if out.opens {
				v = l.exceptLocal(*f, verdicts[i])
			}
			l.addTo(&d.exceptions, mapPlace{Inet, out.section, out.prefix, ""}, *f, string(v))
		}
	}
	d.addTo(h)
}

// A localDispatch is a base chain for packets that this machine sends.
type localDispatch struct {
	*linker
	base       baseChain
	exceptions []*dispatchMap
	general    [len(addr.Families)]farm.Specificity // the most general frontend with local clients; -1: there is none
}

// mostGeneralLocal gives by family the most general specificity of a frontend with a verdict for local clients, or for
// connections that the kernel opens for clients.
func (l *linker) mostGeneralLocal(base baseChain, frontends []frontend, verdicts []verdict) (
	out [len(addr.Families)]farm.Specificity,
) {
	for i := range out {
		out[i] = -1
	}
	for i := range frontends {
		if d := &frontends[i]; verdicts[i] != noVerdict && (d.farm.LocalClients || base.opens && l.synproxied(*d)) {
			out[d.Family] = max(out[d.Family], d.Specificity)
		}
	}
	return out
}

// asks reports whether the chain asks maps of the kind. Maps of more general frontends serve remote clients only.
func (d *localDispatch) asks(s farm.Specificity, family addr.Family) bool {
	return s <= d.general[family]
}

// addTo adds the base chain, with the maps that the base chain of packets from outside asks.
func (d *localDispatch) addTo(outside *hook) {
	maps, anyMaps := d.maps(outside.Maps), []*dispatchMap(nil)
	if outside.Any != nil {
		anyMaps = d.maps(outside.Any.Maps)
	}
	if len(maps) == 0 && len(anyMaps) == 0 {
		return
	}
	h := d.hook(d.base)
	h.Maps = maps
	switch {
	case len(anyMaps) == 0:
	case slices.Equal(anyMaps, outside.Any.Maps):
		h.Any = outside.Any
	default:
		h.Any = d.anyChain(d.base.any, d.base.section)
		h.Any.Maps = anyMaps
	}
}

// maps gives the maps that the chain asks, each after its exceptions.
func (d *localDispatch) maps(shared []*dispatchMap) (out []*dispatchMap) {
	for _, m := range shared {
		if m.Zone != nil || !d.asks(m.Specificity, m.Family) {
			continue
		}
		for _, e := range d.exceptions {
			if e.Specificity == m.Specificity && e.Family == m.Family {
				out = append(out, e)
			}
		}
		out = append(out, m)
	}
	return out
}

package farm

import (
	"fmt"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
)

// A size is the amount of work that a farm is.
type size struct {
	backends  int
	frontends int // single ports, ranges of ports and whole addresses, for each protocol
	pairs     int // of a frontend and a backend of its family
	networks  int // that the farm itself names
	sources   int // of source addresses: slots of backends with a range, marks, and ports of outgoing for each backend
	extras    int // limits, occasions of its log, [timeouts], [persistence] and lists of [access]: each has own objects

	interfaces int // that no farm before names
}

// totals are the bounds on the sum over all farms. They hold the time of a compile below 10 s, and its memory below
// 1 GB, for any farms in maxFarmsSize bytes.
var totals = []struct {
	of   func(size) int
	most int
	unit string
	hint string
}{
	{func(s size) int { return s.backends }, maxAllBackends, "backends", ""},
	{func(s size) int { return s.frontends }, maxAllFrontends, "frontends: ports, ranges and addresses in listen",
		"a range of ports is one frontend"},
	{func(s size) int { return s.pairs }, maxAllPairs, "pairs of a frontend and a backend",
		"a range of ports, or a whole address, is one frontend"},
	{func(s size) int { return s.sources }, maxAllSources,
		"source addresses: of backends with source-address, of sources, and ports of outgoing for each backend",
		"a range of the farm itself counts nothing; a range of a backend counts with each of its addresses"},
	{func(s size) int { return s.extras }, maxAllExtras,
		"limits, occasions of logs, and tables [access], [timeouts] and [persistence]", ""},
	{func(s size) int { return s.interfaces }, maxAllInterfaces, "interfaces",
		"farms without interfaces take packets from all"},
	{func(s size) int { return s.networks }, maxAllNetworks, "networks in allow and deny",
		"a list is a file beside the farms, and farms that name the same list share its networks"},
}

// The bounds on all farms together. 30,000 farms of four backends and two ports come below each of them.
const (
	maxFarms        = 32_768
	maxAllBackends  = 131_072
	maxAllFrontends = 65_536
	maxAllPairs     = 524_288
	maxAllSources   = 524_288
	maxAllNetworks  = 1_000_000
	maxAllExtras    = 65_536

	maxAllInterfaces = 1_024
)

// size adds up the parts of the farm.
func (f *Farm) size() size {
	s := size{backends: len(f.Backends)}
	var backends [len(addr.Families)]int
	for i := range f.Backends { // in place: a copy of 100,000 backends takes 100 MB
		for _, family := range addr.Families {
			if f.Backends[i].Address.Has(family) {
				backends[family]++
			}
		}
	}
	for _, d := range f.Frontends() {
		s.frontends++
		s.pairs += backends[d.Family]
	}
	for _, list := range f.Access.All() {
		s.networks += list.count
	}
	s.sources, s.extras = f.sourceElements(), f.extras()
	return s
}

// sourceElements counts the elements of maps to source addresses that belong to the farm alone.
func (f *Farm) sourceElements() int {
	n := len(f.MarkedSources) + len(f.Outgoing)*len(f.Backends)
	for _, family := range addr.Families {
		var own []Backend
		for i := range f.Backends {
			if f.Backends[i].Source.Has(family) {
				own = append(own, f.Backends[i])
			}
		}
		if len(own) > 0 {
			n += len(own) * SourceSlots(own, family)
		}
	}
	return n
}

// extras counts what has counters, sets or chains of the farm alone.
func (f *Farm) extras() int {
	n := len(f.Log.On)
	l := f.Limits
	for _, has := range []bool{l.NewPerClient.Count > 0, l.ResetsPerClient.Count > 0, l.ConnectionsPerClient > 0,
		l.New.Count > 0, l.Connections > 0, l.Ban > 0, l.StrictTCP, l.Synproxy.On, !f.Access.Allow.Empty(),
		!f.Access.Deny.Empty(), !f.Access.Exempt.Empty(), !f.Access.LogOnly.Empty(), f.Persistence != nil,
		f.Timeouts != Timeouts{}, len(f.MarkReplies) > 0} {
		if has {
			n++
		}
	}
	return n
}

func (s size) plus(o size) size {
	return size{s.backends + o.backends, s.frontends + o.frontends, s.pairs + o.pairs, s.networks + o.networks,
		s.sources + o.sources, s.extras + o.extras, s.interfaces + o.interfaces}
}

// fitting gives the readings up to the bounds on all farms, in the order of their names. Each other one gets a fault,
// so that the others can be loaded without it.
func fitting(readings []*Reading, faults *diag.Diagnostics) []*Reading {
	var out []*Reading
	var sum size
	interfaces := map[string]bool{}
	for _, r := range readings {
		if r.farm == nil {
			continue
		}
		with := sum.plus(r.size)
		for _, name := range r.interfaces {
			if !interfaces[name] {
				with.interfaces++
			}
		}
		if with.beyond(r.farm, faults) {
			continue
		}
		sum, out = with, append(out, r)
		for _, name := range r.interfaces {
			interfaces[name] = true
		}
	}
	return out
}

// allInterfaces gives each interface that the farm or one of its backends names once; nil if there are none, as of most
// farms.
func (f *Farm) allInterfaces() (out []string) {
	for _, name := range f.Interfaces {
		out = appendName(out, name)
	}
	for i := range f.Backends {
		out = appendName(out, f.Backends[i].Interface)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func appendName(to []string, name string) []string {
	if name == "" {
		return to
	}
	return append(to, name)
}

// beyond reports whether a sum is beyond a bound, with a fault for the farm.
func (s size) beyond(f *Farm, faults *diag.Diagnostics) bool {
	for _, t := range totals {
		if n := t.of(s); n > t.most {
			*faults = append(*faults, diag.Diagnostic{Farm: f.Name, Place: f.Place, Hint: t.hint,
				Message: fmt.Sprintf("with this farm all farms together have %d %s, at most %d", n, t.unit, t.most)})
			return true
		}
	}
	return false
}

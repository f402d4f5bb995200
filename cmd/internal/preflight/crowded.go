package preflight

import (
	"farmc/cmd/internal/conntrack"
	"farmc/compiler/farm"
	"farmc/compiler/flows"
)

// crowded returns the farms that probably lack source ports: the kernel counts failures for the whole machine. Ports
// end towards one backend, so these are the farms with at least half as many open connections to a
// backend as the backend with most of them has. Without any connection it returns all farms.
func (s *search) crowded(farms []*farm.Farm) (out []*farm.Farm) {
	most, all := s.mostOpen(farms), 0
	for _, n := range most {
		all = max(all, n)
	}
	for _, f := range farms {
		if 2*most[f.Name] >= all {
			out = append(out, f)
		}
	}
	return out
}

// mostOpen counts for each farm the open connections to the backend with most of them.
func (s *search) mostOpen(farms []*farm.Farm) map[string]int {
	owners := flows.NewOwners(farms)
	open, most := map[[2]string]int{}, map[string]int{}
	// a dump that fails leaves the farms that were counted until then
	_ = conntrack.DumpAll(s.ctx, func(e conntrack.Entry) {
		if name, backend, ok := owners.Backend(e.Connection()); ok {
			open[[2]string{name, backend}]++
			most[name] = max(most[name], open[[2]string{name, backend}])
		}
	})
	return most
}

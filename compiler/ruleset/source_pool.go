package ruleset

import (
	"strconv"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A backend takes about 64,000 connections from each source address. From a range of addresses each connection gets
// one at random. The kernel's own way to use a range (snat to FIRST-LAST) chooses by the addresses of client and
// backend: all connections of one client leave from one address, and it does not try another one whose ports are free
// (find_best_ips_proto of Linux 6.18).

// A sourcePool is the map from slots to the addresses of a range, for all farms with this range.
type sourcePool struct {
	*object
	Family addr.Family
	Number int // of addresses
}

// sourcePool gives the map of a range.
func (l *linker) sourcePool(family addr.Family, of farm.SourceRange) *sourcePool {
	o := newMap("sources-"+strings.ReplaceAll(of.String(), ":", "."), sourceNATSection, "source-pool")
	return obtain(&l.rules, o, func() *sourcePool {
		for i, a := range of.All() {
			o.elements.add(element{key: strconv.Itoa(i), value: a.String()})
		}
		return &sourcePool{o, family, o.elements.size()}
	})
}

// sourcesByBackend gives the map of a farm from backends, or from slots of backends, to source addresses.
func (l *linker) sourcesByBackend(d frontend, own []element, slots int) *backendMap {
	if slots == 0 {
		return l.backendMap(d, "sources-", "source-addresses-by-backend", sourceNATSection, own)
	}
	o := l.backendMap(d, "pools-", "source-pools-by-backend", sourceNATSection, own)
	o.Slots = slots
	return o
}

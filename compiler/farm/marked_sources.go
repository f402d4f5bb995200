package farm

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A MarkedSource is the source addresses of new connections that programs of this machine open with a mark (SO_MARK).
type MarkedSource struct {
	Mark    uint32 // of packets, not of connections; never 0
	Address Addresses

	place diag.Place
}

// String writes the source as "0x200=192.168.0.101".
func (s MarkedSource) String() string {
	return fmt.Sprintf("%#x=%s", s.Mark, strings.ReplaceAll(s.Address.String(), ", ", " and "))
}

// maxMarkedSources is the largest number of marks in sources.
const maxMarkedSources = 1024

const markedSourcesHint = `a mark, and an address of this machine: sources = { "0x200" = "192.168.0.101" }`

// readMarkedSources reads a table from marks to addresses, in the order of the marks.
func readMarkedSources(t *toml.Table, f *Farm) {
	in := t.Sub("sources")
	if in == nil {
		return
	}
	if len(in.Keys()) == 0 {
		t.Fault(t.At("sources"), markedSourcesHint, "sources needs at least one mark")
	}
	for i, key := range in.Keys() {
		if i == maxMarkedSources {
			t.Fault(in.At(key), "", "sources: more than %d marks", maxMarkedSources)
			return
		}
		f.addMarkedSource(in, key)
	}
	slices.SortFunc(f.MarkedSources, func(a, b MarkedSource) int { return int(int64(a.Mark) - int64(b.Mark)) })
}

func (f *Farm) addMarkedSource(t *toml.Table, key string) {
	s := MarkedSource{Address: parseAddresses(t, t.Words(key), "sources", always(markedSourcesHint)), place: t.At(key)}
	n, err := strconv.ParseUint(key, 0, 32)
	s.Mark = uint32(n)
	other := slices.IndexFunc(f.MarkedSources, func(o MarkedSource) bool { return o.Mark == s.Mark })
	switch {
	case err != nil || n == 0:
		t.Fault(s.place, markedSourcesHint, "sources: %q is not a mark, 1 to 4294967295", key)
	case other >= 0:
		t.FaultWithNote(s.place, diag.Note{Place: f.MarkedSources[other].place, Message: "the other one"},
			"sources: the mark %#x stands here twice", s.Mark)
	default:
		f.MarkedSources = append(f.MarkedSources, s)
	}
}

func (f *Farm) markedSources() string { return listed(f.MarkedSources) }

// MarkedSourceConflicts reports marks that two farms give different addresses. Connections carry no sign of the farm
// that a program belongs to.
func MarkedSourceConflicts(farms []*Farm, faults *diag.Diagnostics) {
	type owner struct {
		address netip.Addr
		farm    *Farm
		place   diag.Place
	}
	owners := map[markedFamily]owner{}
	for _, f := range farms {
		if f.Down {
			continue
		}
		for _, s := range f.MarkedSources {
			for _, a := range s.Address.All() {
				key := markedFamily{s.Mark, addr.FamilyOf(a)}
				other, known := owners[key]
				if known && other.address != a {
					*faults = append(*faults, diag.Diagnostic{Farm: f.Name, Place: s.place,
						Message: fmt.Sprintf("sources: connections with the mark %#x leave from %s already, by farm %s",
							s.Mark, other.address, other.farm.Name),
						Hint: "another mark, or the same address",
						Also: []diag.Note{{Place: other.place, Message: "farm " + other.farm.Name}}})
				} else if !known {
					owners[key] = owner{a, f, s.place}
				}
			}
		}
	}
}

// A markedFamily is connections of one family with a mark.
type markedFamily struct {
	mark   uint32
	family addr.Family
}

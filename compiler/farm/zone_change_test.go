package farm

import (
	"slices"
	"strings"
	"testing"
)

func TestZoneChanges(t *testing.T) {
	zone := func(name string, number int, interfaces ...string) *Farm {
		return &Farm{Name: name, Mode: DNAT, Zone: number, Interfaces: interfaces}
	}
	for name, c := range map[string]struct {
		before, after []*Farm
		want          []string
	}{
		"set":     {[]*Farm{zone("a", 0, "eth1")}, []*Farm{zone("a", 1, "eth1")}, []string{"eth1: no zone → zone 1"}},
		"changed": {[]*Farm{zone("a", 1, "eth1")}, []*Farm{zone("a", 2, "eth1")}, []string{"eth1: zone 1 → zone 2"}},
		"farm removed": {[]*Farm{zone("a", 1, "eth1", "eth2")}, nil,
			[]string{"eth1: zone 1 → no zone", "eth2: zone 1 → no zone"}},
		"interface added": {[]*Farm{zone("a", 1, "eth1")}, []*Farm{zone("a", 1, "eth1", "eth2")},
			[]string{"eth2: no zone → zone 1"}},
		"farm added to a zone": {[]*Farm{zone("a", 1, "eth1")},
			[]*Farm{zone("a", 1, "eth1"), zone("b", 1, "eth1")}, nil},
		"farm removed from a zone": {[]*Farm{zone("a", 1, "eth1"), zone("b", 1, "eth1")}, []*Farm{zone("b", 1, "eth1")},
			nil},
		"farm renamed": {[]*Farm{zone("a", 1, "eth1")}, []*Farm{zone("b", 1, "eth1")}, nil},
		"zones swapped": {[]*Farm{zone("a", 1, "eth1"), zone("b", 2, "eth2")},
			[]*Farm{zone("a", 1, "eth2"), zone("b", 2, "eth1")},
			[]string{"eth1: zone 1 → zone 2", "eth2: zone 2 → zone 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range NewDifference(Describe(c.before), c.after).ZoneChanges() {
				words := strings.TrimPrefix(d.Message, "zone: interface ")
				got = append(got, words[:strings.Index(words, ": the load ends")])
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	if said := NewDifference(nil, []*Farm{zone("a", 1, "eth1")}).ZoneChanges(); said != nil {
		t.Errorf("without farms before: %v", said)
	}
}

package nft

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// The counters of most elements of a set come from a dump of the set. They are the same as the answers to queries.
func TestCountersFromDump(t *testing.T) {
	nft, _ := realNft(t)
	var script bytes.Buffer
	for _, set := range []string{"wanted", "other"} {
		fmt.Fprintf(&script, "table inet farmc {\n\tmap %s {\n\t\ttypeof numgen random mod 2 : ip daddr\n"+
			"\t\tsize 8192\n\t\tcounter\n\t\telements = {\n", set)
		for n := range 3 * minDump {
			fmt.Fprintf(&script, "%d counter packets %d bytes %d : 10.0.0.1,\n", n, n, len(set)*n)
		}
		script.WriteString("}\n}\n}\n")
	}
	load(t, nft, script.Bytes())
	element := func(set string, n int) Element {
		return Element{"inet", set, binary.NativeEndian.AppendUint32(nil, uint32(n))}
	}
	var asked []Element
	var want []Counter
	for n := range 2 * minDump {
		asked, want = append(asked, element("wanted", 2*n)), append(want, Counter{uint64(2 * n), uint64(12 * n)})
		if 2*n >= 3*minDump {
			want[n] = Counter{} // such an element does not exist
		}
	}
	if numbersOf(asked) == nil || !dumpsWell(t.Context(), asked) {
		t.Error("the set is not read as a whole")
	}
	asked, want = append(asked, element("other", 7)), append(want, Counter{7, 35})
	got, err := nft.Counters(t.Context(), asked)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the counters differ: %v", err)
	}
	queried := make([]Counter, len(asked))
	if err := queryCounters(t.Context(), asked, queried); err != nil || !slices.Equal(queried, want) {
		t.Errorf("the answers to queries differ: %v", err)
	}
	twice := slices.Concat(asked[:minDump], asked[:minDump])
	if got, err = nft.Counters(t.Context(), twice); err != nil ||
		!slices.Equal(got, slices.Concat(want[:minDump], want[:minDump])) {
		t.Errorf("the counters of elements that are asked for twice differ: %v", err)
	}
	if dumpsWell(t.Context(), asked[:1]) {
		t.Error("a whole set is read for one of its elements")
	}
	missing := slices.Clone(asked[:2*minDump])
	for i := range missing {
		missing[i].Set = "missing"
	}
	if got, err = nft.Counters(t.Context(), missing); err != nil || !slices.Equal(got, make([]Counter, 2*minDump)) {
		t.Errorf("a missing set has counters: %v", err)
	}
}

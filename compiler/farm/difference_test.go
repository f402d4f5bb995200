package farm

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A difference names the farms that Changed finds, and describes them as Changes does.
func TestDifference(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	farms := func() (out []*Farm) {
		for _, name := range strings.Fields("a b c d e") {
			if random.IntN(3) > 0 {
				out = append(out, &Farm{Name: name, Mode: []Mode{SNAT, DNAT}[random.IntN(2)]})
			}
		}
		return out
	}
	for range 300 {
		before, after := Describe(farms()), farms()
		d := NewDifference(before, after)
		if want := Changed(before, Describe(after)); !slices.Equal(d.Names, want) {
			t.Fatalf("%v and %v: %q differ, want %q", before, Describe(after), d.Names, want)
		}
		if got, want := d.Changes(), Changes(before, Describe(after)); !slices.Equal(got, want) {
			t.Fatalf("changes %q, want %q", got, want)
		}
		for _, name := range strings.Fields("a e") {
			i := slices.IndexFunc(after, func(f *Farm) bool { return f.Name == name })
			if f := d.After(name); (f == nil) != (i < 0) || f != nil && f != after[i] {
				t.Fatalf("farm %s of %v is %v", name, Describe(after), f)
			}
		}
	}
}

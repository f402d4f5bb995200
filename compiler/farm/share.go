package farm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/toml"
)

// Shares gives the shares of the backends that get new connections, by name, 0 to 1. Each backend has its share among
// those that serve its family; one of both families has its share of the first family in which it serves.
func (f *Farm) Shares() map[string]float64 {
	out := map[string]float64{}
	for _, family := range slices.Backward(addr.Families[:]) {
		maps.Copy(out, f.SharesOf(family))
	}
	return out
}

// SharesOf gives the shares of the backends that serve a family, by name; their sum is 1. Nil: the farm does not listen
// in the family.
func (f *Farm) SharesOf(family addr.Family) map[string]float64 {
	if f.Down || !f.Listens(family) {
		return nil
	}
	serving, sum := f.Serving(family), 0
	weights := ShareWeights(serving)
	for _, w := range weights {
		sum += w
	}
	out := make(map[string]float64, len(serving))
	for i, b := range serving {
		out[b.Name] = float64(weights[i]) / float64(sum)
	}
	return out
}

// ShareWeights gives numbers in the proportion of the shares of backends: the weights, or hundredths of them if only a
// part of a weight counts.
func ShareWeights(backends []Backend) []int {
	out, whole := make([]int, len(backends)), true
	for i, b := range backends {
		out[i] = b.Weight * cmp.Or(b.Percent, 100)
		whole = whole && out[i] == b.Weight*100
	}
	for i := range out {
		if whole {
			out[i] /= 100
		}
	}
	return out
}

// readPercent reads how much of the weight counts, after the state. Nothing of it is a backend without new clients.
func readPercent(k *Key, t *toml.Table, b *Backend) {
	b.Percent = t.Number(k.Name, 100, k.Least, k.Most)
	if b.Percent == 0 && b.State == Up {
		b.State, b.NoWeight, b.StateAt = Drain, true, t.At(k.Name)
	}
	b.Percent %= 100
}

func describePercent(_ *Key, b *Backend) string {
	if b.Percent == 0 {
		return ""
	}
	return fmt.Sprint(b.Percent)
}

// Listening gives the entries of listen, as a farm writes them.
func (f *Farm) Listening() []string {
	var out []string
	for _, l := range f.Listen {
		out = append(out, l.String())
	}
	return out
}

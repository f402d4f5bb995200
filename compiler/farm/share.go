package farm

import (
	"cmp"
	"fmt"

	"farmc/compiler/addr"
	"farmc/compiler/toml"
)

// Shares gives the share of new connections of each backend, by name; their sum is 1. The first family
// counts in which the farm listens and a backend serves. Without such a family the result is nil.
func (f *Farm) Shares() map[string]float64 {
	for _, family := range addr.Families {
		serving := f.Serving(family)
		if f.Down || len(serving) == 0 || !f.Listens(family) {
			continue
		}
		sum, out := 0, map[string]float64{}
		weights := ShareWeights(serving)
		for _, w := range weights {
			sum += w
		}
		for i, b := range serving {
			out[b.Name] = float64(weights[i]) / float64(sum)
		}
		return out
	}
	return nil
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

package farm

import "farmc/compiler/addr"

// Shares gives the share of new connections of each backend, by name; their sum is 1. The first family
// counts in which the farm listens and a backend serves. Without such a family the result is nil.
func (f *Farm) Shares() map[string]float64 {
	for _, family := range addr.Families {
		serving := f.Serving(family)
		if f.Down || len(serving) == 0 || !f.Listens(family) {
			continue
		}
		sum, out := 0, map[string]float64{}
		for _, b := range serving {
			sum += b.Weight
		}
		for _, b := range serving {
			out[b.Name] = float64(b.Weight) / float64(sum)
		}
		return out
	}
	return nil
}

// Listening gives the entries of listen, as a farm writes them.
func (f *Farm) Listening() []string {
	var out []string
	for _, l := range f.Listen {
		out = append(out, l.String())
	}
	return out
}

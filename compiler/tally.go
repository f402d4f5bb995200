package compiler

import "strings"

// A Tally is an element that counts for a backend: new connections, or packets in modes without connection tracking.
type Tally struct {
	Counted
	Farm, Backend string
}

// Tallies gives the elements of a script that count for backends of a farm, or of all farms if the name is "". Farms that share
// a maglev table count together; their elements belong to the first of them.
func Tallies(s *Script, farm string) ([]Tally, error) {
	tables, err := inventoryOf(s)
	if err != nil {
		return nil, err
	}
	var out []Tally
	for _, family := range TableFamilies {
		if tables[family] == nil {
			continue
		}
		for _, o := range tables[family].objects {
			if o.counts() {
				out = append(out, tallies(s, family, o, farm)...)
			}
		}
	}
	return out, nil
}

func tallies(s *Script, family TableFamily, o *scriptObject, farm string) (out []Tally) {
	fields := o.fields()
	for _, e := range o.elements() {
		from, _ := s.Origin(e.Number)
		backend, ok := strings.CutPrefix(from.Key, "backends.")
		if ok && (farm == "" || farm == from.Farm) {
			out = append(out, Tally{Counted{string(family), o.Name, fields, elementKey(e)}, from.Farm, backend})
		}
	}
	return out
}

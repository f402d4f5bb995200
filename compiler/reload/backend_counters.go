package reload

import (
	"strings"

	"farmc/compiler/ruleset"
)

// A BackendCounter is an element that counts for a backend: new connections, or packets in modes without connection
// tracking.
type BackendCounter struct {
	CountedElement
	Farm, Backend string
}

// BackendCounters gives the elements of a script that count for backends of a farm, or of all farms if the name is "".
// Farms that share a maglev table count together; their elements belong to the first of them.
func BackendCounters(s *ruleset.Script, farm string) ([]BackendCounter, error) {
	tables, err := inventoryOf(s)
	if err != nil {
		return nil, err
	}
	var out []BackendCounter
	for _, family := range ruleset.TableFamilies {
		if tables[family] == nil {
			continue
		}
		for _, o := range tables[family].objects {
			if o.hasCounters() {
				out = append(out, countersIn(s, family, o, farm)...)
			}
		}
	}
	return out, nil
}

func countersIn(s *ruleset.Script, family ruleset.TableFamily, o *scriptObject, farm string) (out []BackendCounter) {
	fields := o.fields()
	for _, e := range o.elements() {
		from, _ := s.Origin(e.Number)
		backend, ok := strings.CutPrefix(from.Key, "backends.")
		if ok && (farm == "" || farm == from.Farm) {
			element := CountedElement{string(family), o.Name, fields, elementKey(e)}
			out = append(out, BackendCounter{element, from.Farm, backend})
		}
	}
	return out
}

package nftlb

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A Lost is a key of a farm that nftlb does not have.
type Lost struct{ Farm, Key string }

// Export writes a configuration of nftlb, and returns the keys that it loses.
func (in Files) Export() (text []byte, lost []Lost) {
	s := in.State()
	farms, _ := s.list("farms", "")[0].value.(list)
	for i, f := range s.Farms {
		shown := append(farms[i].(object), unlisted(f.Values)...)
		at := slices.IndexFunc(shown, func(m member) bool { return m.key == "backends" })
		for j, b := range f.Backends {
			all := shown[at].value.(list)
			all[j] = append(all[j].(object), unlisted(b.Values)...)
		}
		farms[i] = shown
		now, _ := (&translation{State: s, farm: f, marks: MarksAsked, bare: true}).done()
		for _, key := range missing("", in.Farms[f.Name], now) {
			lost = append(lost, Lost{f.Name, key})
		}
	}
	policies := s.list("policies", "")[0]
	return append(Indent(object{policies, {"farms", farms}}), '\n'), lost
}

// unlisted are the attributes that listings lack.
func unlisted(v Values) (out object) {
	for _, key := range []string{"iface", "oface", "ether-addr"} {
		if value := v[key]; value != "" {
			out = append(out, member{key, value})
		}
	}
	return out
}

// harmless are keys that are no loss: nftlb does without them, or always obeys them.
var harmless = []string{"annotations", "description", "inherit", "persistence.renew"}

// missing returns the keys of a document that another one lacks, or has with another value.
func missing(in string, d, other map[string]any) (out []string) {
	for _, key := range slices.Sorted(maps.Keys(d)) {
		path := strings.TrimPrefix(in+"."+key, ".")
		table, isTable := d[key].(map[string]any)
		now, isNow := other[key].(map[string]any)
		switch {
		case slices.Contains(harmless, path):
		case isTable && isNow:
			out = append(out, missing(path, table, now)...)
		case !reflect.DeepEqual(d[key], other[key]) && fmt.Sprint(words(d[key])) != fmt.Sprint(words(other[key])):
			out = append(out, path)
		case other[key] == nil:
			out = append(out, path)
		}
	}
	return out
}

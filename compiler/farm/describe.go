package farm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/addr"
)

// A Description is a farm in words, for comparing two states of a farm. It leaves out keys at their defaults, and keys
// without effect on packets. It is JSON, as the state directory keeps it: of ten thousand farms few are ever decoded.
type Description string

// details are the decoded content of a description.
type details struct {
	Farm     map[string]string            `json:"farm"`
	Backends map[string]map[string]string `json:"backends"`
}

// Description describes the farm and its backends. It is made once for a farm.
func (f *Farm) Description() Description {
	if f.description == "" {
		text, err := json.Marshal(f.describe())
		if err != nil {
			panic(err)
		}
		f.description = Description(text)
	}
	return f.description
}

// Describe gives the descriptions of farms by their names.
func Describe(farms []*Farm) map[string]Description {
	out := make(map[string]Description, len(farms))
	for _, f := range farms {
		out[f.Name] = f.Description()
	}
	return out
}

// UnmarshalJSON takes the JSON as it is.
func (f *Description) UnmarshalJSON(text []byte) error {
	*f = Description(text)
	return nil
}

// details decodes a description. One of another version may be empty.
func (f Description) details() (out details) {
	if json.Unmarshal([]byte(f), &out) != nil {
		return details{}
	}
	return out
}

func (f *Farm) describe() details {
	out := details{Farm: map[string]string{}, Backends: map[string]map[string]string{}}
	for _, table := range farmTables {
		describeKeys(out.Farm, table.keys, f)
	}
	for _, l := range slices.Concat(f.Access.Allow.Lists, f.Access.Deny.Lists) {
		out.Farm["@"+l.Name] = fmt.Sprintf("%d networks (%08x)", l.lines, l.digest>>32)
	}
	for i := range f.Backends {
		b := &f.Backends[i]
		out.Backends[b.Name] = map[string]string{}
		describeKeys(out.Backends[b.Name], backendKeys, b)
		describeBackendHealth(out.Backends[b.Name], b)
	}
	return out
}

func hashWords(on []HashKey) []string {
	out := make([]string, len(on))
	for i, k := range on {
		out[i] = string(k)
	}
	return out
}

// String writes the addresses as a farm does.
func (a Addresses) String() string {
	var words []string
	for _, f := range addr.Families {
		if a.Has(f) {
			words = append(words, a[f].String())
		}
	}
	return strings.Join(words, ", ")
}

func (f *Farm) listens() string {
	var words []string
	for _, l := range f.Listen {
		words = append(words, l.String())
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// String writes the entry as a farm does.
func (l Listen) String() string {
	address := l.Address.String()
	switch {
	case !l.Address.IsValid() && len(l.Families) == len(addr.Families):
		address = "*"
	case !l.Address.IsValid():
		address = [...]string{addr.IP4: "0.0.0.0", addr.IP6: "[::]"}[l.Families[0]]
	case l.Address.Is6() && !l.Whole():
		address = "[" + address + "]"
	}
	if l.Whole() {
		return address + "/all"
	}
	var ports, protocols []string
	for _, p := range l.Ports {
		ports = append(ports, p.String())
	}
	for _, p := range l.Protocols {
		protocols = append(protocols, string(p))
	}
	return address + ":" + strings.Join(ports, ",") + "/" + strings.Join(protocols, ",")
}

// The words for a key at its default, by the names of descriptions.
var (
	farmDefaults    = defaultWords(farmKeys, persistenceKeys, accessKeys, limitKeys, logKeys, farmHealthKeys)
	backendDefaults = withHealthDefaults(defaultWords(backendKeys))
)

// Changes describes the differences between two sets of farms, a line each, in the order of names.
func Changes(before, after map[string]Description) []string {
	var out []string
	for _, name := range Changed(before, after) {
		was, had := before[name]
		is, has := after[name]
		switch {
		case !had:
			out = append(out, name+": new")
		case !has:
			out = append(out, name+": gone")
		default:
			out = append(out, farmChanges(name, was.details(), is.details())...)
		}
	}
	return out
}

// Changed gives the names of the farms that were added, removed or changed, in order. A farm is told by its description
// or by a digest of its files.
func Changed[D comparable](before, after map[string]D) []string {
	var names []string
	for name, is := range after {
		if was, had := before[name]; !had || was != is {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, has := after[name]; !has {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func farmChanges(name string, was, is details) []string {
	out := factChanges(name+": ", farmDefaults, was.Farm, is.Farm)
	for _, b := range union(was.Backends, is.Backends) {
		older, had := was.Backends[b]
		newer, has := is.Backends[b]
		switch {
		case !had:
			out = append(out, fmt.Sprintf("%s: backend %s new: %s", name, b, inWords(newer)))
		case !has:
			out = append(out, fmt.Sprintf("%s: backend %s gone", name, b))
		default:
			out = append(out, factChanges(fmt.Sprintf("%s: backend %s ", name, b), backendDefaults, older, newer)...)
		}
	}
	return out
}

func factChanges(prefix string, absent, was, is map[string]string) []string {
	var out []string
	for _, key := range union(was, is) {
		if a, b := factOf(was, absent, key), factOf(is, absent, key); a != b {
			out = append(out, fmt.Sprintf("%s%s %s → %s", prefix, key, a, b))
		}
	}
	return out
}

func factOf(facts, absent map[string]string, key string) string {
	return cmp.Or(facts[key], absent[key], "unset")
}

func inWords(facts map[string]string) string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(facts)) {
		words = append(words, key+" "+facts[key])
	}
	return strings.Join(words, ", ")
}

func union[A, B any](a map[string]A, b map[string]B) []string {
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// Recall gives the described farm with the keys that its connections depend on: name, mode, state, listen, and the
// names, addresses, ports and states of its backends. It gives nil for an empty description, or one of another version.
func (f Description) Recall(name string) *Farm {
	if f == "" {
		return nil
	}
	facts := f.details()
	out := &Farm{Name: name, Mode: Mode(facts.Farm["mode"]), Down: facts.Farm["state"] == "down"}
	for _, word := range strings.Fields(facts.Farm["listen"]) {
		l, err := parseListen(word)
		if err != nil {
			return nil
		}
		out.Listen = append(out.Listen, l)
	}
	for backend, about := range facts.Backends {
		out.Backends = append(out.Backends, recallBackend(backend, about))
	}
	return out
}

func recallBackend(name string, about map[string]string) Backend {
	b := Backend{Name: name, State: State(about["state"])}
	for _, word := range strings.Split(about["address"], ", ") {
		if a, err := netip.ParseAddr(word); err == nil {
			b.Address[addr.FamilyOf(a)] = a
		}
	}
	port, _ := strconv.ParseUint(about["port"], 10, 16)
	b.Port = uint16(port)
	b.Percent, _ = strconv.Atoi(about["weight-percent"])
	return b
}

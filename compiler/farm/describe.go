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
		f.description = Description(f.describe())
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

// describe writes the JSON of details. One map serves all backends: 10,000 farms have 100,000 of them.
func (f *Farm) describe() []byte {
	about := map[string]string{}
	for _, table := range farmTables {
		describeKeys(about, table.keys, f)
	}
	for _, l := range f.Access.Lists() {
		about["@"+l.Name] = fmt.Sprintf("%d networks (%08x)", l.lines, l.digest>>32)
	}
	out := appendWords([]byte(`{"farm":`), about)
	out = append(out, `,"backends":{`...)
	for n, i := range f.backendsByName() {
		if n > 0 {
			out = append(out, ',')
		}
		clear(about)
		b := &f.Backends[i]
		describeKeys(about, backendKeys, b)
		describeBackendHealth(about, b)
		out = append(appendText(out, b.Name), ':')
		out = appendWords(out, about)
	}
	return append(out, "}}"...)
}

// backendsByName gives the indexes of the backends in the order of their names.
func (f *Farm) backendsByName() []int {
	order := make([]int, len(f.Backends))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(f.Backends[i].Name, f.Backends[j].Name) })
	return order
}

// appendWords writes a map as JSON, as json.Marshal does.
func appendWords(out []byte, about map[string]string) []byte {
	names := make([]string, 0, 16)
	for name := range about {
		names = append(names, name)
	}
	slices.Sort(names)
	out = append(out, '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, name), ':')
		out = appendText(out, about[name])
	}
	return append(out, '}')
}

// appendText writes a string as JSON. Nearly all strings are of characters that need no escape.
func appendText(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || strings.IndexByte("\"\\<>&", c) >= 0 {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(err)
			}
			return append(out, quoted...)
		}
	}
	return append(append(append(out, '"'), text...), '"')
}

// listed writes the items of a list as a description has them.
func listed[T fmt.Stringer](items []T) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = item.String()
	}
	return strings.Join(words, ", ")
}

// texts gives words of a type as they are.
func texts[S ~string](of []S) []string {
	out := make([]string, len(of))
	for i, word := range of {
		out[i] = string(word)
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
	address := networkText(l.Network())
	switch {
	case !l.Address.IsValid() && len(l.Families) == len(addr.Families):
		address = "*"
	case !l.Address.IsValid():
		address = [...]string{addr.IP4: "0.0.0.0", addr.IP6: "[::]"}[l.Families[0]]
	case !l.Portless():
		address = bracketed(l.Network())
	}
	var ports, protocols []string
	for _, p := range l.Ports {
		ports = append(ports, p.String())
	}
	for _, p := range l.Protocols {
		protocols = append(protocols, string(p))
	}
	if len(ports) > 0 {
		address += ":" + strings.Join(ports, ",")
	}
	return address + "/" + strings.Join(protocols, ",")
}

// The words for a key at its default, by the names of descriptions.
var (
	farmDefaults = defaultWords(farmKeys, timeoutKeys, persistenceKeys, accessKeys, limitKeys, logKeys,
		farmHealthKeys)
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

// Recall gives the described farm with the keys that its connections depend on: name, mode, state, listen, zone, and
// the names, addresses, ports and states of its backends. It gives nil for an empty description, or one of another
// version.
func (f Description) Recall(name string) *Farm {
	if f == "" {
		return nil
	}
	facts := f.details()
	out := &Farm{Name: name, Mode: Mode(facts.Farm["mode"]), Down: facts.Farm["state"] == "down"}
	out.Ports = recallPortMap(facts.Farm["ports"])
	out.Zone, _ = strconv.Atoi(facts.Farm["zone"])
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
	out.inheritPorts()
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
	b.Port, b.Ports = uint16(port), recallPortMap(about["ports"])
	b.Percent, _ = strconv.Atoi(about["weight-percent"])
	return b
}

// Together joins the sentences of Changes about one key of several farms if they are the same: a change of the defaults
// is a change of all farms that inherit from them. The joined sentence stands in the place of its first one.
func Together(changes []string) (out []string) {
	farms := map[string][]string{} // by the words after the name
	for _, change := range changes {
		if name, words, isKey := keyChange(change); isKey {
			farms[words] = append(farms[words], name)
		}
	}
	for _, change := range changes {
		_, words, isKey := keyChange(change)
		if !isKey {
			out = append(out, change)
		} else if of := farms[words]; of != nil {
			out = append(out, someOf(of)+": "+words)
			farms[words] = nil
		}
	}
	return out
}

// keyChange takes a sentence about a key of a farm apart.
func keyChange(change string) (name, words string, isKey bool) {
	name, words, _ = strings.Cut(change, ": ")
	return name, words, strings.Contains(words, " → ") && !strings.HasPrefix(words, "backend ")
}

// maxNamed is the number of farms that a joined sentence names.
const maxNamed = 5

func someOf(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more farms", strings.Join(names[:maxNamed], ", "), more)
	}
	return strings.Join(names, ", ")
}

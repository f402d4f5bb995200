package farm

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A Host is a backend of the files whose address is a hostname. Each address of its answer is a Backend of the farm.
type Host struct {
	Backend  string // its name in the files
	Name     string // the hostname, in lower case, without a dot at its end
	Weight   int
	State    State
	StateAt  diag.Place
	Families []addr.Family // that the farm listens on

	inFiles Backend // without addresses
}

// Answers are the addresses of hostnames, an input of the compiler. A hostname without an entry was never asked for; an
// empty entry has no addresses yet.
type Answers map[string][]netip.Addr

// AnswersFile is the name of the file with answers: a JSON object with a list of addresses for each hostname.
const AnswersFile = "resolved.json"

// The bounds on answers. A farm uses the lowest addresses of a longer answer, so that the choice is stable.
const (
	MaxHosts   = 512 // hostnames of all farms
	MaxAnswers = 32  // addresses of a hostname
)

// hostRule is the rule for hostnames.
const hostRule = "a hostname is labels of letters, digits and '-', joined by dots, 253 characters at most"

// parseHost reads a hostname as RFC 1123 has it, and gives it in lower case, without a dot at its end. A word that
// looks like a misspelt IPv4 address is none.
func parseHost(word string) (string, bool) {
	name := strings.ToLower(strings.TrimSuffix(word, "."))
	labels := strings.Split(name, ".")
	if len(name) > longestDNSName || slices.ContainsFunc(labels, isNoLabel) ||
		!strings.ContainsFunc(labels[len(labels)-1], isLetter) {
		return "", false
	}
	numbers := slices.DeleteFunc(slices.Clone(labels), func(l string) bool { return strings.ContainsFunc(l, isLetter) })
	return name, len(labels) != 4 || len(numbers) != 3
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' }

func isNoLabel(label string) bool {
	return label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
		strings.ContainsFunc(label, func(r rune) bool { return !isLetter(r) && r != '-' && (r < '0' || r > '9') })
}

// readBackendAddress reads the addresses of a backend, or the hostname that stands in their place.
func readBackendAddress(k *Key, t *toml.Table, b *Backend) {
	words := t.Words(k.Name)
	for _, w := range words {
		if _, err := netip.ParseAddr(w.Text); err == nil {
			continue
		}
		host, isHost := parseHost(w.Text)
		switch {
		case isHost && len(words) > 1:
			t.Fault(w.Place, "a backend for each of them", "%s: the hostname %s stands beside other addresses",
				k.Name, w.Text)
			return
		case isHost:
			b.Host = host
			return
		case meansHost(w.Text):
			t.Fault(w.Place, hostRule, "%s: %q is neither an address nor a hostname", k.Name, w.Text)
			return
		}
	}
	b.Address = parseAddresses(t, words, k.Name, correctedAddress)
}

// meansHost reports whether a word that is neither has letters that no address has.
func meansHost(word string) bool {
	return !strings.ContainsAny(word, ":/%") && strings.ContainsFunc(strings.ToLower(word), func(r rune) bool {
		return 'g' <= r && r <= 'z'
	})
}

// An expansion makes backends of the hostnames of a farm.
type expansion struct {
	*Farm
	answers Answers
}

// addHosts adds the backends that stand for the addresses of hostnames. Tables are those of the backends, by name.
func (e *expansion) addHosts(tables map[string]*toml.Table, hosts []Backend) {
	slices.SortFunc(hosts, func(a, b Backend) int { return strings.Compare(a.Name, b.Name) })
	for _, b := range hosts {
		e.addHost(tables[b.Name], b)
	}
}

func (e *expansion) addHost(t *toml.Table, b Backend) {
	families := e.families()
	e.Hosts = append(e.Hosts, Host{Backend: b.Name, Name: b.Host, Weight: b.Weight, State: b.State,
		StateAt: b.StateAt, Families: families, inFiles: b})
	if b.MAC != "" {
		t.Fault(t.At("mac"), "a backend for each address", "backend %s: a mac needs an address, not a hostname", b.Name)
	}
	addresses, known := e.answers[b.Host]
	switch at := t.At("address"); {
	case !known && e.earlier:
		t.Warn(at, "backend %s: the addresses of %s are not known", b.Name, b.Host)
	case !known:
		t.Fault(at, "farmc watch asks DNS for them; compile, check, diff and apply do with --resolve",
			"backend %s: the addresses of %s are not known", b.Name, b.Host)
	case len(addresses) == 0:
		t.Warn(at, "backend %s: %s has no address yet, so it takes no clients", b.Name, b.Host)
	}
	added := 0
	for _, a := range slices.SortedFunc(slices.Values(addresses), netip.Addr.Compare) {
		if !slices.Contains(families, addr.FamilyOf(a)) {
			continue
		}
		if why := e.unfit(b, a); why != "" {
			t.Warn(t.At("address"), "backend %s: address %s of %s is left out: %s", b.Name, a, b.Host, why)
			continue
		}
		if added++; added > MaxAnswers {
			t.Warn(t.At("address"), "backend %s: %s has more than %d addresses, the others are left out",
				b.Name, b.Host, MaxAnswers)
			break
		}
		e.Backends = append(e.Backends, b.at(a))
	}
}

// at gives the backend for one address of its hostname. Its name can not be that of a backend in a file.
func (b Backend) at(a netip.Addr) Backend {
	b.Key, b.Name = b.Name, AddressName(b.Name, a)
	b.Address = Addresses{}
	b.Address[addr.FamilyOf(a)] = a
	return b
}

// unfit gives the reason why an address of an answer can't be a backend, or "".
func (e *expansion) unfit(b Backend, a netip.Addr) string {
	if why := Unfit(a); why != "" {
		return why
	}
	if slices.ContainsFunc(e.Listen, func(l Listen) bool { return l.Address.IsValid() && l.Has(a) }) {
		return "the farm listens on it"
	}
	port := e.onlyPort()
	for _, other := range e.Backends {
		same := cmp.Or(other.Port, port) == cmp.Or(b.Port, port)
		if other.Address[addr.FamilyOf(a)] == a && (same || other.Source != b.Source || other.Mark != b.Mark) {
			return fmt.Sprintf("backend %s has it", other.Name)
		}
	}
	if len(e.Backends) >= MaxBackends {
		return fmt.Sprintf("a farm has %d backends at most", MaxBackends)
	}
	return ""
}

// Unfit gives the reason why no backend can have the address, or "". DNS of strangers must not lead clients to this
// machine's own services.
func Unfit(a netip.Addr) string {
	switch {
	case !a.IsValid() || a.Zone() != "" || a.Is4In6():
		return "not a plain address"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsMulticast():
		return "a multicast address"
	case a.IsUnspecified() || a.Is4() && a.As4()[0] == 0:
		return "not an address of a machine"
	case !reachable(a) || a.Is4() && a.As4()[0] >= 240:
		return "not an address that packets can be sent to from here"
	}
	return ""
}

// families gives the families that the farm listens on.
func (f *Farm) families() (out []addr.Family) {
	for _, family := range addr.Families {
		listens := func(l Listen) bool { return slices.Contains(l.Families, family) }
		if len(f.Listen) == 0 || slices.ContainsFunc(f.Listen, listens) {
			out = append(out, family)
		}
	}
	return out
}

// FileName gives the name of the backend in the files: with a hostname it is that of several backends.
func (b *Backend) FileName() string { return cmp.Or(b.Key, b.Name) }

// inFiles gives the backends as the files have them: one for each hostname, with or without an answer.
func (f *Farm) inFiles() (out []*Backend) {
	for i := range f.Backends {
		if f.Backends[i].Key == "" {
			out = append(out, &f.Backends[i])
		}
	}
	for i := range f.Hosts {
		out = append(out, &f.Hosts[i].inFiles)
	}
	return out
}

// Named gives the backends of a name: one, or those for all addresses of a hostname.
func (f *Farm) Named(name string) (out []*Backend) {
	for i := range f.Backends {
		if b := &f.Backends[i]; b.Name == name || b.Key == name {
			out = append(out, b)
		}
	}
	return out
}

// HostOf gives the hostname of a backend of the files, or nil.
func (f *Farm) HostOf(name string) *Host {
	i := slices.IndexFunc(f.Hosts, func(h Host) bool { return h.Backend == name })
	if i < 0 {
		return nil
	}
	return &f.Hosts[i]
}

// readAnswers reads the answers of a directory that holds nothing else. There are none without the file.
func readAnswers(d Dir, faults *diag.Diagnostics) Answers {
	read := layer{dir: d, name: AnswersFile}.load()
	if errors.Is(read.err, fs.ErrNotExist) || errors.Is(read.err, fs.ErrPermission) {
		return nil
	}
	var texts map[string][]string
	err := read.err
	if err == nil {
		err = json.Unmarshal(read.text, &texts)
	}
	if err != nil {
		*faults = append(*faults, diag.Diagnostic{Severity: diag.Warning, Place: diag.Place{File: read.path},
			Message: fmt.Sprintf("the addresses of hostnames can't be read: %v", err)})
	}
	out := Answers{}
	for host, words := range texts {
		if name, ok := parseHost(host); ok && name == host {
			out[host] = parseAnswer(words)
		}
	}
	return out
}

// parseAnswer reads addresses. A word that is none is left out: farmc writes none.
func parseAnswer(words []string) []netip.Addr {
	out := []netip.Addr{}
	for _, word := range words {
		if a, err := addr.ParseAddress(word); err == nil {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// Text gives the answers as the file of the state directory has them.
func (a Answers) Text() []byte {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // JSON can hold addresses
	}
	return text
}

// changedHosts gives the hostnames whose answers differ.
func changedHosts(was, is Answers) map[string]bool {
	out := map[string]bool{}
	for _, host := range slices.Concat(slices.Collect(maps.Keys(was)), slices.Collect(maps.Keys(is))) {
		before, had := was[host]
		now, has := is[host]
		if had != has || !slices.Equal(before, now) {
			out[host] = true
		}
	}
	return out
}

// names reports whether the farm has one of the hostnames.
func (f *Farm) names(hosts map[string]bool) bool {
	return len(hosts) > 0 && f != nil && slices.ContainsFunc(f.Hosts, func(h Host) bool { return hosts[h.Name] })
}

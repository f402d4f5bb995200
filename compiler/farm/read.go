package farm

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// parse reads a farm's file and its drop-ins. A farm with faults is kept as far as it could be read, so that faults
// between farms are found, too. There is no farm if the main file is not TOML. Keys of the defaults that do not fit the
// farm are refused, and the farm is read again without them. With faulty defaults the farm is not read: its own faults
// could come from keys that it did not inherit.
func (r *Reading) parse(lists map[string]*AddressList) {
	if r.inherits = (inheritance{from: r.files.defaults}); r.files.defaults.faulty() {
		return
	}
	for again := true; again; again = r.inherits.refuse(r.faults) {
		r.faults = nil
		r.parseOnce(lists)
	}
	for i := range r.faults {
		r.faults[i].Farm = r.files.name
	}
}

// parseOnce reads the farm with the keys that it has not refused yet.
func (r *Reading) parseOnce(lists map[string]*AddressList) {
	t := r.files.merged(&r.inherits, &r.faults)
	if r.farm = nil; t == nil {
		return
	}
	r.farm = readFarm(t, r.files, lists, r.answers)
	before := len(r.faults)
	checkAllowed(t, r.farm)
	validate(t, r.farm)
	if r.farm.earlier {
		warnAlone(r.faults[before:])
	}
	t.FaultUnknown()
	t.FaultOmitted()
}

// merged gives the table of the main file with the drop-ins laid over it, over the keys that it inherits. It is nil if
// the main file is not TOML.
func (files farmFiles) merged(inherits *inheritance, faults *diag.Diagnostics) *toml.Table {
	t := toml.Parse(files.main.path, files.main.text, faults)
	if t != nil {
		t.SetHint(otherWords)
	}
	mergeDropIns(t, files, faults)
	if t != nil {
		inherits.inherit(t)
	}
	return t
}

// warnAlone makes warnings of faults. An earlier version loaded the farm, so it had none of the faults of that version.
func warnAlone(faults diag.Diagnostics) {
	for i := range faults {
		faults[i].Severity = diag.Warning
	}
}

// readFarm reads the keys of a farm.
func readFarm(t *toml.Table, files farmFiles, lists map[string]*AddressList, answers Answers) *Farm {
	f := &Farm{Name: files.name, Place: t.Place, places: map[string]diag.Place{}, lists: lists,
		answers: answers, earlier: files.main.earlier, Log: Log{Rate: logRate}}
	for _, key := range t.Keys() {
		f.places[key] = t.At(key)
	}
	readKeys(t, farmKeys, f)
	if !t.Has("local-clients") {
		f.LocalClients = f.localClientsByDefault()
	}
	if f.Limits.Verdict == VerdictLog && !f.Logs(OnLimited) {
		f.Log.On = append(f.Log.On, OnLimited) // the last of Occasions
	}
	f.lists, f.answers = nil, nil
	f.inheritPorts()
	return f
}

// readTable reads a table of the farm, and keeps the places of its keys.
func (f *Farm) readTable(in *toml.Table, keys []key[*Farm]) {
	readKeys(in, keys, f)
	for _, key := range in.Keys() {
		f.places[in.Name+"."+key] = in.At(key)
	}
}

func readLocalClients(k *Key, t *toml.Table, f *Farm) {
	f.LocalClients = t.Flag(k.Name, true) && f.Tracked()
}

func describeLocalClients(_ *Key, f *Farm) string {
	if f.LocalClients == f.localClientsByDefault() {
		return ""
	}
	return strconv.FormatBool(f.LocalClients)
}

// localClientsByDefault reports whether the farm serves connections that this machine opens, unless a key says
// otherwise. They come in by no interface, they have no MAC addresses yet, and no helper reads them.
func (f *Farm) localClientsByDefault() bool {
	keys := f.HashOn
	if f.Persistence != nil {
		keys = slices.Concat(keys, f.Persistence.On)
	}
	return f.Tracked() && f.Helper == "" && len(f.Interfaces) == 0 &&
		!slices.Contains(keys, SourceMAC) && !slices.Contains(keys, DestinationMAC)
}

// defaultScheduler is the scheduler of a farm that names none, after mode and per-packet are read.
func defaultScheduler(f *Farm) string {
	if f.Mode.Untracked() && !f.PerPacket {
		return string(Maglev)
	}
	return string(Random)
}

func readScheduler(k *Key, t *toml.Table, f *Farm) {
	f.Scheduler = Scheduler(t.Choice(k.Name, defaultScheduler(f), k.Options...))
}

func describeScheduler(_ *Key, f *Farm) string {
	if f.Mode == Local {
		return ""
	}
	return string(f.Scheduler)
}

// maxListens is the largest number of items of listen.
const maxListens = 1024

func readListen(t *toml.Table, f *Farm) {
	if !t.Has("listen") && !t.Misspelt("listen") {
		t.Fault(t.Place, `listen = "192.0.2.10:80"`, "listen is missing: the addresses and ports that the farm serves")
	}
	for i, w := range t.Words("listen") {
		if i == maxListens {
			t.Fault(w.Place, "a range of ports, or a whole address", "listen: more than %d items", maxListens)
			break
		}
		l, err := parseListen(w.Text)
		if bare := (noPortsError{}); f.earlier && errors.As(err, &bare) { // once a whole address was written like that
			l, err = parseListen(w.Text + "/" + string(AnyProtocol))
		}
		if err != nil {
			t.Fault(w.Place, listenHint(w.Text, err), "listen: %v", err)
			continue
		}
		if f.Mode == Local && l.Address.IsLoopback() {
			t.Warn(w.Place, "listen: packets to the loopback address %s pass no filter of a farm, so the entry is "+
				"ignored", l.Address)
			continue
		}
		l.Place = w.Place
		f.Listen = append(f.Listen, l)
	}
}

// listenHint says what would be right.
func listenHint(text string, err error) string {
	if e := (noPortsError{}); errors.As(err, &e) {
		return e.hint()
	}
	return correctedListen(text)
}

// readHashOn reads a combination of hash keys. A combination has no order, so it gets the one of HashKeys.
func readHashOn(t *toml.Table, f *Farm) {
	if f.HashOn = inOrder(readHashKeys(t, "hash-on")); len(f.HashOn) == 0 {
		f.HashOn = []HashKey{SourceAddress}
	}
}

func (f *Farm) hashesOn() string {
	if f.Scheduler != Hash && f.Scheduler != Maglev {
		return ""
	}
	return strings.Join(texts(f.HashOn), ", ")
}

// inOrder gives keys in the order of HashKeys.
func inOrder(keys []HashKey) []HashKey {
	return slices.SortedFunc(slices.Values(keys), func(a,
		b HashKey) int {
		return slices.Index(HashKeys, a) - slices.Index(HashKeys, b)
	})
}

// readHashKeys reads a combination of hash keys in the order of the file.
func readHashKeys(t *toml.Table, key string) []HashKey {
	var out []HashKey
	for _, w := range t.Words(key) {
		k := HashKey(w.Text)
		switch {
		case !slices.Contains(HashKeys, k):
			t.Fault(w.Place, suggestKey(w.Text), "%s: unknown key %q", key, w.Text)
		case slices.Contains(out, k):
			t.Fault(w.Place, "", "%s: %s stands here twice", key, k)
		default:
			out = append(out, k)
		}
	}
	return out
}

func suggestKey(word string) string {
	names := texts(HashKeys)
	if n := diag.Nearest(word, names); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return "one of " + strings.Join(names, ", ")
}

// readAddresses reads one address, or one of each family.
func readAddresses(t *toml.Table, key string) Addresses {
	return parseAddresses(t, t.Words(key), key, always(addressHint))
}

const addressHint = `an address without a port: "192.0.2.1" or "2001:db8::1"`

// always is a hint that does not depend on the word.
func always(hint string) func(word string) string { return func(string) string { return hint } }

func parseAddresses(t *toml.Table, words []toml.Word, key string, hint func(word string) string) (out Addresses) {
	for _, w := range words {
		a, err := addr.ParseAddress(w.Text)
		switch {
		case err != nil:
			t.Fault(w.Place, hint(w.Text), "%s: %v", key, err)
		case !reachable(a):
			t.Fault(w.Place, sendableInstead(a),
				"%s: %s is not an address that packets can be sent to from here", key, a)
		case out.Has(addr.FamilyOf(a)):
			t.Fault(w.Place, "at most one of each family", "%s: a second %s address", key, addr.FamilyOf(a))
		default:
			out[addr.FamilyOf(a)] = a
		}
	}
	return out
}

// sendableInstead is the remedy for a backend on this machine.
func sendableInstead(a netip.Addr) string {
	if a.IsLoopback() {
		return `an address of this machine on another interface, or mode = "local"`
	}
	return ""
}

// reachable reports whether NAT can send a packet to the address. Unspecified, loopback, multicast, link-local and
// broadcast addresses are refused.
func reachable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// MaxBackends is the largest number of backends of a farm. Tables of maglev and checks of limits take a time that grows
// with the square of it.
const MaxBackends = 4096

func readBackends(t *toml.Table, f *Farm) {
	addresses := takeAddressTables(t)
	if n := len(t.Tables("backends")); n > MaxBackends {
		t.Raw("backends")
		t.Fault(t.At("backends"), "several farms", "%d backends, at most %d", n, MaxBackends)
		return
	}
	tables := t.Subs("backends")
	f.Backends = make([]Backend, 0, len(tables))
	var hosts []Backend
	byName := map[string]*toml.Table{}
	for _, t := range tables {
		n := len(f.Backends)
		f.Backends = append(f.Backends, Backend{Name: t.Name, Place: t.Place})
		b := &f.Backends[n] // read in place: 10,000 farms have 100,000 of them
		readBackend(t, b)
		readBackendHealth(t, b, f.Health)
		if b.Host != "" {
			hosts, byName[b.Name], f.Backends = append(hosts, *b), t, f.Backends[:n]
		}
	}
	if len(hosts) > 0 {
		(&expansion{Farm: f, answers: f.answers}).addHosts(byName, hosts)
	}
	slices.SortFunc(f.Backends, func(a, b Backend) int { return strings.Compare(a.Name, b.Name) })
	f.setAddresses(addresses)
}

func readBackend(t *toml.Table, b *Backend) {
	if !IsName(b.Name) {
		t.Fault(t.Place, NamingRule, "%q can't be the name of a backend", b.Name)
	}
	if !t.Has("address") && !t.Misspelt("address") {
		t.Fault(t.Place, `address = "10.0.0.11"`, "backend %s has no address", b.Name)
	}
	readKeys(t, backendKeys, b)
	if t.Has("state") && !b.NoWeight {
		b.StateAt = t.At("state")
	}
}

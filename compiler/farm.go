package compiler

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Farm is a load-balanced service, valid for itself alone: whatever is wrong with its text was told before.
type Farm struct {
	Name         string
	Mode         Mode
	Listen       []Listen
	Down         bool // validated and conflicting as ever, but not served
	Scheduler    Scheduler
	HashOn       []HashKey // for the schedulers that hash, in the order of HashKeys
	Source       Addresses // snat: the source that backends see instead of this machine's own
	LocalClients bool      // also serves connections that this machine itself opens
	Backends     []Backend // in the order of their names
	Place        Place     // of the farm's file
}

// A Backend is a server that a farm's connections are sent to.
type Backend struct {
	Name    string
	Address Addresses
	Port    uint16 // 0: the port that was asked for
	Weight  int    // 1 to 1000
	State   State
	Source  Addresses // snat: the source that this backend sees
	Place   Place
}

// Addresses hold at most one address of each family.
type Addresses [len(Families)]netip.Addr

// Has says whether there is an address of the family.
func (a Addresses) Has(f Family) bool { return a[f].IsValid() }

// A Mode is what is done to a farm's packets (its topology).
type Mode string

// The modes.
const (
	SNAT      Mode = "snat"      // rewrites destination and source
	DNAT      Mode = "dnat"      // rewrites the destination; backends see the client
	DSR       Mode = "dsr"       // direct server return: hands on the frame, replies bypass this machine
	Stateless Mode = "stateless" // rewrites with no connection tracking
	Local     Mode = "local"     // a service of this machine: filters only
)

// A Scheduler chooses the backend of a new connection.
type Scheduler string

// The schedulers. All of them are weighted.
const (
	Random        Scheduler = "random"
	RoundRobin    Scheduler = "round-robin"
	Hash          Scheduler = "hash"
	SymmetricHash Scheduler = "symmetric-hash"
	Maglev        Scheduler = "maglev" // Eisenbud et al., "Maglev", NSDI 2016, 3.4
)

// A State is what an administrator wants of a backend.
type State string

// The states of a backend.
const (
	Up    State = "up"    // serves
	Drain State = "drain" // takes no new client, keeps the ones it has
	Down  State = "down"  // serves nobody
)

// A HashKey is a part of a packet that a scheduler hashes, or persistence remembers.
type HashKey string

// HashKeys are all that can be hashed, in the order in which they are.
var HashKeys = []HashKey{SourceAddress, DestinationAddress, SourcePort, DestinationPort, SourceMAC, DestinationMAC}

// The hash keys.
const (
	SourceAddress      HashKey = "source-address"
	DestinationAddress HashKey = "destination-address"
	SourcePort         HashKey = "source-port"
	DestinationPort    HashKey = "destination-port"
	SourceMAC          HashKey = "source-mac"
	DestinationMAC     HashKey = "destination-mac"
)

// serving gives the backends of a family that new connections may go to.
func (f *Farm) serving(family Family) []Backend {
	var out []Backend
	for _, b := range f.Backends {
		if b.State == Up && b.Address.Has(family) {
			out = append(out, b)
		}
	}
	return out
}

// Listens says whether the farm listens on the family: a listen on every address does on those that have backends.
func (f *Farm) Listens(family Family) bool {
	return slices.ContainsFunc(f.Listen, func(l Listen) bool {
		return slices.Contains(l.Families, family) && (l.Address.IsValid() || f.reaches(family))
	})
}

func (f *Farm) reaches(family Family) bool {
	return slices.ContainsFunc(f.Backends, func(b Backend) bool { return b.Address.Has(family) })
}

// parseFarm reads a farm's file and its drop-ins. A farm that has faults is returned as far as it could be read, so
// that faults between farms are found, too; nil if there is nothing to go by.
func parseFarm(files farmFiles, lists map[string][]network, faults *Diagnostics) *Farm {
	var own Diagnostics
	t := parseTable(files.main.path, files.main.text, &own)
	for _, d := range files.dropIns {
		over := parseTable(d.path, d.text, &own)
		if t != nil && over != nil {
			t.merge(over)
		}
	}
	var f *Farm
	if t != nil {
		f = readFarm(t, files.name, lists)
		t.unknown()
	}
	for i := range own {
		own[i].Farm = files.name
	}
	*faults = append(*faults, own...)
	return f
}

// readFarm is the farm format, from top to bottom.
func readFarm(t *table, name string, lists map[string][]network) *Farm {
	f := &Farm{Name: name, Place: t.place}
	t.text("description") // for people who read the file
	f.Mode = Mode(t.choice("mode", "snat", "snat", "dnat", "dsr", "stateless", "local"))
	f.Listen = readListen(t)
	f.Down = t.choice("state", "up", "up", "down") == "down"

	f.Scheduler = Scheduler(t.choice("scheduler", usualScheduler(f.Mode), "random", "round-robin", "hash", "symmetric-hash", "maglev"))
	f.HashOn = readHashKeys(t, "hash-on")
	readTableSize(t)

	readInterfaces(t, "interfaces")
	f.Source = readAddresses(t, "source-address")
	f.LocalClients = t.flag("local-clients", false)
	readInterfaces(t, "flow-offload")
	t.choice("helper", "", "ftp", "sip", "tftp", "pptp", "snmp")
	readMark(t)
	readQueue(t)

	readPersistence(t.sub("persistence"))
	readAccess(t.sub("access"), lists)
	readLimits(t.sub("limits"))
	readLog(t.sub("log"))

	for _, b := range t.subs("backends") {
		f.Backends = append(f.Backends, readBackend(b))
	}
	slices.SortFunc(f.Backends, func(a, b Backend) int { return strings.Compare(a.Name, b.Name) })

	effective(t, f)
	complete(t, f)
	return f
}

func usualScheduler(m Mode) string {
	if m == DSR || m == Stateless {
		return string(Maglev)
	}
	return string(Random)
}

func readListen(t *table) []Listen {
	if !t.has("listen") {
		t.fault(t.place, `listen = "192.0.2.10:80"`, "listen is missing: the addresses and ports that the farm serves")
	}
	var out []Listen
	for _, w := range t.words("listen") {
		l, err := parseListen(w.text)
		if err != nil {
			t.fault(w.place, listenRule, "listen: %v", err)
			continue
		}
		if slices.Contains(l.Protocols, SCTP) {
			t.fault(w.place, "", "listen: sctp is not supported yet")
		}
		l.Place = w.place
		out = append(out, l)
	}
	return out
}

// readHashKeys reads a combination of keys and puts it into one order, as a combination has none.
func readHashKeys(t *table, key string) []HashKey {
	var out []HashKey
	for _, w := range t.words(key) {
		k := HashKey(w.text)
		switch {
		case !slices.Contains(HashKeys, k):
			t.fault(w.place, suggestKey(w.text), "%s: %q is nothing that can be hashed", key, w.text)
		case slices.Contains(out, k):
			t.fault(w.place, "", "%s: %s stands here twice", key, k)
		default:
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b HashKey) int { return slices.Index(HashKeys, a) - slices.Index(HashKeys, b) })
	return out
}

func suggestKey(word string) string {
	var names []string
	for _, k := range HashKeys {
		names = append(names, string(k))
	}
	if n := nearest(word, names); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return "one of " + strings.Join(names, ", ")
}

// readAddresses reads one address, or one of each family.
func readAddresses(t *table, key string) Addresses {
	var out Addresses
	for _, w := range t.words(key) {
		a, err := parseAddress(w.text)
		switch {
		case err != nil:
			t.fault(w.place, `an address without a port: "192.0.2.1" or "2001:db8::1"`, "%s: %v", key, err)
		case !reachable(a):
			t.fault(w.place, "", "%s: %s is not an address that packets can be sent to from here", key, a)
		case out.Has(familyOf(a)):
			t.fault(w.place, "at most one of each family", "%s: a second %s address", key, familyOf(a))
		default:
			out[familyOf(a)] = a
		}
	}
	return out
}

// reachable refuses addresses that NAT can't send a packet to: those that mean another machine on each link, many
// machines, or this one's inside.
func reachable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func readBackend(t *table) Backend {
	b := Backend{Name: t.name, Place: t.place}
	if !backendNaming.MatchString(b.Name) {
		t.fault(t.place, backendNamingRule, "%q can't be the name of a backend", b.Name)
	}
	if !t.has("address") {
		t.fault(t.place, `address = "10.0.0.11"`, "backend %s has no address", b.Name)
	}
	b.Address = readAddresses(t, "address")
	b.Port = uint16(t.number("port", 0, 1, 65535))
	b.Weight = t.number("weight", 1, 1, 1000)
	t.number("priority", 1, 1, 1000)
	b.State = State(t.choice("state", "up", "up", "drain", "down"))
	b.Source = readAddresses(t, "source-address")
	t.number("connections", 0, 1, 1<<31-1)
	readMark(t)
	readInterface(t)
	readMAC(t)
	return b
}

// complete finds what is missing, and what of a farm contradicts itself.
func complete(t *table, f *Farm) {
	if f.Mode != Local && len(f.Backends) == 0 && !t.has("backends") {
		t.fault(t.place, `[backends.b1] and below it address = "10.0.0.11"`, "no backends: connections have nowhere to go")
	}
	if len(f.HashOn) == 0 {
		f.HashOn = []HashKey{SourceAddress}
	}
	if (f.Scheduler != Hash && f.Scheduler != Maglev) && t.has("hash-on") {
		t.fault(t.at("hash-on"), `scheduler = "hash"`, "hash-on has no effect with the scheduler %s", f.Scheduler)
	}
	if f.Scheduler != Maglev && t.has("table-size") {
		t.fault(t.at("table-size"), `scheduler = "maglev"`, "table-size has no effect with the scheduler %s", f.Scheduler)
	}
	everyFamilyServed(t, f)
	everyBackendUseful(t, f)
	wholeAddressKeepsPorts(t, f)
	localClientsHaveNoMAC(t, f)
	namesDiffer(t, f)
	backendsDiffer(t, f)
	sourcesDiffer(t, f)
}

func everyFamilyServed(t *table, f *Farm) {
	for _, l := range f.Listen {
		for _, family := range l.Families {
			if l.Address.IsValid() && len(f.Backends) > 0 && !f.reaches(family) {
				t.fault(l.Place, "NAT between the families does not exist", "listen: no backend has an %s address", family)
			}
		}
		if !l.Address.IsValid() && len(l.Families) == 1 && len(f.Backends) > 0 && !f.reaches(l.Families[0]) {
			t.fault(l.Place, "NAT between the families does not exist", "listen: no backend has an %s address", l.Families[0])
		}
	}
	for _, family := range Families {
		if f.Source.Has(family) && len(f.Listen) > 0 && !f.Listens(family) {
			t.fault(t.at("source-address"), "", "source-address: the farm does not listen on %s, so %s has no effect", family, f.Source[family])
		}
	}
}

func everyBackendUseful(t *table, f *Farm) {
	if len(f.Listen) == 0 {
		return
	}
	for _, b := range f.Backends {
		used := false
		for _, family := range Families {
			used = used || b.Address.Has(family) && f.Listens(family)
			if b.Source.Has(family) && !(b.Address.Has(family) && f.Listens(family)) {
				t.fault(b.Place, "", "backend %s: source-address: it is sent no %s, so %s has no effect", b.Name, family, b.Source[family])
			}
		}
		if !used && (b.Address.Has(IP4) || b.Address.Has(IP6)) {
			t.fault(b.Place, "NAT between the families does not exist", "backend %s has no address of a family that the farm listens on", b.Name)
		}
	}
}

func wholeAddressKeepsPorts(t *table, f *Farm) {
	whole := slices.IndexFunc(f.Listen, Listen.Whole)
	if whole < 0 {
		return
	}
	for _, b := range f.Backends {
		if b.Port != 0 {
			t.alsoFault(b.Place, Note{f.Listen[whole].Place, "takes every protocol"},
				"backend %s: port has no effect in a farm that takes every protocol of an address, as many have no ports", b.Name)
		}
	}
	for _, k := range f.HashOn {
		if k == SourcePort || k == DestinationPort {
			t.alsoFault(t.at("hash-on"), Note{f.Listen[whole].Place, "takes every protocol"},
				"hash-on: %s can't be had in a farm that takes every protocol of an address, as many have no ports", k)
		}
	}
}

func localClientsHaveNoMAC(t *table, f *Farm) {
	for _, k := range f.HashOn {
		if f.LocalClients && (k == SourceMAC || k == DestinationMAC) {
			t.fault(t.at("hash-on"), "", "hash-on: %s can't be had with local-clients: what this machine sends has none yet", k)
		}
	}
}

func namesDiffer(t *table, f *Farm) {
	seen := map[string]Backend{}
	for _, b := range f.Backends {
		folded := strings.ToLower(b.Name)
		if other, ok := seen[folded]; ok {
			t.alsoFault(b.Place, Note{other.Place, "the other one"}, "the names of the backends %s and %s differ by case alone", other.Name, b.Name)
		}
		seen[folded] = b
	}
}

// backendsDiffer finds a server that is listed twice: it is nearly always a slip of the hand, and what is known of
// a connection (its destination) could not tell the two apart.
func backendsDiffer(t *table, f *Farm) {
	seen := map[netip.AddrPort]Backend{}
	for _, b := range f.Backends {
		for _, family := range Families {
			if !b.Address.Has(family) {
				continue
			}
			at := netip.AddrPortFrom(b.Address[family], b.Port)
			if other, ok := seen[at]; ok {
				t.alsoFault(b.Place, Note{other.Place, "the other one"}, "backend %s is the same server as backend %s: %s", b.Name, other.Name, socket(at))
			}
			seen[at] = b
		}
	}
}

// sourcesDiffer finds backends of one address that want different sources: once a connection's backend is chosen its
// address alone tells which source it gets.
func sourcesDiffer(t *table, f *Farm) {
	for _, family := range Families {
		seen := map[netip.Addr]Backend{}
		for _, b := range f.Backends {
			other, ok := seen[b.Address[family]]
			if ok && b.Address.Has(family) && other.Source[family] != b.Source[family] {
				t.alsoFault(b.Place, Note{other.Place, "the other one"},
					"backend %s has the address of backend %s, so they can't have different sources", b.Name, other.Name)
			}
			seen[b.Address[family]] = b
		}
	}
}

// socket writes an address with its port, if there is one.
func socket(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

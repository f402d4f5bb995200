package farm

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A Persistence keeps a client with its first backend, on all frontends of the farm in a family.
type Persistence struct {
	On      []HashKey               // the fields that identify a client, in the order of HashKeys
	Timeout time.Duration           // since the client's last new connection, or packet
	Renew   Renewal                 // which of them; packets in modes without connection tracking
	Prefix  [len(addr.Families)]int // length of the prefix of a client's address that identifies it
	Static  []Session               // in the order of their clients
	Group   string                  // farms of one group send a client to the same backend; "": the farm alone

	asked []HashKey // On in the order of the file, for the parts of a session; nil if the file has a fault there
}

// A Session is a client with a fixed backend.
type Session struct {
	Client   []string // a part for each key, in their order, as nft writes it
	Network  bool     // the part for the source address is a network
	Families []addr.Family
	Backend  string

	Place, value diag.Place
}

// A Renewal says when the time of a remembered client begins again, in modes with connection tracking.
type Renewal string

// The renewals.
const (
	RenewByConnection Renewal = "connection" // with each new connection
	RenewByPacket     Renewal = "packet"     // with each packet
)

const defaultTimeout = time.Minute

// fullPrefix is the length of a prefix that covers a whole address.
var fullPrefix = [...]int{addr.IP4: 32, addr.IP6: 128}

func readPersistence(t *toml.Table, f *Farm) {
	if in := t.Sub("persistence"); in != nil {
		f.Persistence = &Persistence{Timeout: defaultTimeout, Prefix: fullPrefix, Renew: RenewByConnection}
		f.readTable(in, persistenceKeys)
	}
}

// readGroup reads the name of the farm's group, which is part of the name of a map.
func readGroup(t *toml.Table, f *Farm) {
	if !t.Has("group") {
		return
	}
	if name := t.Text("group"); IsName(name) {
		f.Persistence.Group = name
	} else {
		t.Fault(t.At("group"), NamingRule, "group: %q can't be the name of a group", name)
	}
}

// PersistenceGroup is the name of the farm's persistence group; "" if it has none.
func (f *Farm) PersistenceGroup() string {
	if f.Persistence == nil {
		return ""
	}
	return f.Persistence.Group
}

func readPersistenceOn(t *toml.Table, f *Farm) {
	asked := readHashKeys(t, "on")
	faulty := len(asked) != countValues(t, "on")
	if len(asked) == 0 {
		asked = []HashKey{SourceAddress}
	}
	f.Persistence.On = inOrder(asked)
	if !faulty {
		f.Persistence.asked = asked
	}
}

func (f *Farm) persistsOn() string {
	if f.Persistence == nil {
		return ""
	}
	return "on " + strings.Join(texts(f.Persistence.On), ", ")
}

func readPersistenceTimeout(t *toml.Table, f *Farm) {
	if t.Has("timeout") {
		f.Persistence.Timeout = t.Duration("timeout")
	}
}

func (f *Farm) persistsFor() string {
	if f.Persistence == nil {
		return ""
	}
	return toml.FormatDuration(f.Persistence.Timeout)
}

func readRenewal(k *Key, t *toml.Table, f *Farm) {
	f.Persistence.Renew = Renewal(t.Choice(k.Name, k.Default, k.Options...))
}

func describeRenewal(_ *Key, f *Farm) string {
	if f.Persistence == nil || f.Persistence.Renew != RenewByPacket {
		return ""
	}
	return string(RenewByPacket)
}

func readPrefixes(k *Key, t *toml.Table, f *Farm) {
	if !t.Has(k.Name) {
		return
	}
	lengths := t.Numbers(k.Name, k.Least, k.Most)
	if len(lengths) == 1 && lengths[0] <= 32 && f.Listens(addr.IP4) && !f.Listens(addr.IP6) {
		lengths = append(lengths, fullPrefix[addr.IP6])
	}
	switch {
	case len(lengths) == 1 || len(lengths) > 2 || len(lengths) == 2 && lengths[0] > 32:
		t.Fault(t.At("prefix"), "prefix = [24, 64]",
			"prefix: wants the length for IPv4, 1 to 32, and the one for IPv6, 1 to 128")
	case !slices.Contains(f.Persistence.On, SourceAddress):
		t.Fault(t.At("prefix"), `on = ["source-address"]`,
			"prefix has no effect where persistence is not on source-address")
	case len(lengths) == 2:
		f.Persistence.Prefix = [...]int{addr.IP4: lengths[0], addr.IP6: lengths[1]}
	}
}

func describePrefixes(_ *Key, f *Farm) string {
	if f.Persistence == nil || f.Persistence.Prefix == fullPrefix {
		return ""
	}
	return fmt.Sprint(f.Persistence.Prefix)
}

// readSessions reads the fixed sessions. Their keys have parts in the order of the file's key on.
func readSessions(t *toml.Table, f *Farm) {
	entries, asked := t.Entries("static"), f.Persistence.asked
	if asked == nil {
		return
	}
	var out []Session
	seen := map[string]diag.Place{}
	for _, e := range entries {
		s, ok := readSession(t, e, asked)
		if !ok {
			continue
		}
		client := strings.Join(s.Client, " . ")
		if other, twice := seen[client]; twice {
			t.FaultWithNote(e.Key.Place, diag.Note{Place: other, Message: "the other one"},
				"static: %s stands here twice", client)
			continue
		}
		seen[client] = e.Key.Place
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Session) int { return slices.Compare(a.Client, b.Client) })
	f.Persistence.Static = out
}

func (f *Farm) sessions() string {
	if f.Persistence == nil {
		return ""
	}
	var sessions []string
	for _, s := range f.Persistence.Static {
		sessions = append(sessions, strings.Join(s.Client, " . ")+" = "+s.Backend)
	}
	return strings.Join(sessions, ", ")
}

func readSession(t *toml.Table, e toml.Entry, asked []HashKey) (Session, bool) {
	s := Session{Client: make([]string, len(asked)), Families: addr.Families[:], Backend: e.Value.Text,
		Place: e.Key.Place, value: e.Value.Place}
	words := strings.Split(e.Key.Text, " . ")
	ok := IsName(s.Backend)
	if !ok {
		t.Fault(e.Value.Place, NamingRule, "static: %q can't be the name of a backend", s.Backend)
	}
	if len(words) != len(asked) {
		t.Fault(e.Key.Place, `parts are separated by " . ", as in "198.51.100.7 . 5060"`, "static: %q needs %s: %s",
			e.Key.Text, partCount(asked), strings.Join(texts(asked), " . "))
		return s, false
	}
	on := inOrder(asked)
	for i, key := range asked {
		part, err := s.part(key, words[i])
		if err != nil {
			t.Fault(e.Key.Place, partRule[key], "static: %v", err)
			ok = false
		}
		s.Client[slices.Index(on, key)] = part
	}
	return s, ok
}

func partCount(on []HashKey) string {
	if len(on) == 1 {
		return "1 part"
	}
	return fmt.Sprintf("%d parts", len(on))
}

// partRule says how the part of a session for each key is written.
var partRule = map[HashKey]string{
	SourceAddress:      "an address or a network: 198.51.100.7, 198.51.100.0/24",
	DestinationAddress: "an address that the farm listens on",
	SourcePort:         "a port, 1 to 65535", DestinationPort: "a port that the farm listens on",
	SourceMAC: "02:00:00:00:00:01", DestinationMAC: "02:00:00:00:00:01",
}

// part reads the session's part for a key, and learns from it which family the session is of.
func (s *Session) part(key HashKey, word string) (string, error) {
	switch key {
	case SourcePort, DestinationPort:
		port, err := parsePort(word)
		return fmt.Sprint(port), err
	case SourceMAC, DestinationMAC:
		mac, err := net.ParseMAC(word)
		if err != nil || len(mac) != 6 {
			return "", fmt.Errorf("%q is not an Ethernet address", word)
		}
		return mac.String(), nil
	}
	if key == SourceAddress && strings.Contains(word, "/") {
		return s.network(word)
	}
	a, err := addr.ParseAddress(word)
	if err == nil {
		err = s.of(a)
	}
	return a.String(), err
}

func (s *Session) network(word string) (string, error) {
	n, err := netip.ParsePrefix(word)
	if err != nil || n.Addr().Is4In6() {
		return "", fmt.Errorf("%q is not a network", word)
	}
	s.Network = true
	return n.Masked().String(), s.of(n.Addr())
}

func (s *Session) of(a netip.Addr) error {
	if !slices.Contains(s.Families, addr.FamilyOf(a)) {
		return fmt.Errorf("%s is of another family than the other address", a)
	}
	s.Families = []addr.Family{addr.FamilyOf(a)}
	return nil
}

// validateSessions finds fixed sessions without a backend, and sessions that no client can have.
func validateSessions(t *toml.Table, f *Farm) {
	if f.Persistence == nil {
		return
	}
	numbers := make(map[string]int, len(f.Backends))
	for i, b := range f.Backends {
		numbers[b.Name] = i
	}
	for _, s := range f.Persistence.Static {
		i, known := numbers[s.Backend]
		switch notListened := f.notListened(s); {
		case f.HostOf(s.Backend) != nil:
			t.Fault(s.value, "a backend with an address",
				"static: backend %s has a hostname, whose addresses come and go", s.Backend)
		case !known:
			t.Fault(s.value, diag.Suggest(s.Backend, f.backendNames()), "static: there is no backend %s", s.Backend)
		case notListened != "" && len(f.Listen) > 0:
			t.Fault(s.Place, "", "static: the farm does not listen on %s", notListened)
		case !slices.ContainsFunc(s.Families, f.Backends[i].Address.Has):
			t.FaultWithNote(s.value, diag.Note{Place: f.Backends[i].Place, Message: "the backend"},
				"static: backend %s has no %s address", s.Backend, s.Families[0])
		}
	}
}

// notListened gives the part of a session's key that the farm does not listen on; "" if it listens on all parts.
func (f *Farm) notListened(s Session) string {
	if !slices.ContainsFunc(s.Families, f.Listens) {
		return s.Families[0].String()
	}
	for i, key := range f.Persistence.On {
		asked := s.Client[i]
		if (key == DestinationAddress || key == DestinationPort) &&
			!slices.ContainsFunc(f.Listen, func(l Listen) bool { return l.accepts(key, asked) }) {
			return asked
		}
	}
	return ""
}

// accepts reports whether the entry has the address, or the port.
func (l Listen) accepts(key HashKey, asked string) bool {
	if key == DestinationAddress {
		return l.Has(netip.MustParseAddr(asked))
	}
	port, _ := parsePort(asked)
	return slices.ContainsFunc(l.Ports, func(p Ports) bool { return p.First <= port && port <= p.Last })
}

func (f *Farm) backendNames() []string {
	out := make([]string, len(f.Backends))
	for i, b := range f.Backends {
		out[i] = b.Name
	}
	return out
}

// validatePersistence refuses keys that some packets of the farm lack.
func validatePersistence(t *toml.Table, f *Farm) {
	if f.Persistence == nil {
		return
	}
	if f.Persistence.Renew == RenewByPacket && len(f.FlowOffload) > 0 {
		t.Fault(t.Sub("persistence").At("renew"), `renew = "connection", or no flow-offload`,
			`renew: with flow-offload no rule sees the packets of established connections`)
	}
	at := t.Sub("persistence").At("on")
	whole := slices.IndexFunc(f.Listen, Listen.Portless)
	for _, k := range f.Persistence.On {
		switch {
		case whole >= 0 && (k == SourcePort || k == DestinationPort):
			t.FaultWithNote(at, f.Listen[whole].portlessNote(),
				`on: %s needs ports, but listen "%s" matches protocols without ports`, k, f.Listen[whole])
		case f.Mode == DSR && k == SourceMAC && slices.ContainsFunc(f.Backends,
			func(b Backend) bool { return b.MAC != "" }):
			t.Fault(at, "", "on: source-mac can't be had where backends have a mac: a frame to them gets another "+
				"source")
		case f.LocalClients && (k == SourceMAC || k == DestinationMAC):
			t.Fault(at, "", "on: %s can't be had with local-clients: what this machine sends has none yet", k)
		}
	}
}

// Eligible gives the backends of a family that a new connection can be sent to: the serving ones. With persistence
// known clients also stay with backends that drain, and with backends of a priority that does not serve any more.
func (f *Farm) Eligible(family addr.Family) []Backend {
	if f.Persistence == nil {
		return f.Serving(family)
	}
	return slices.DeleteFunc(f.WithFamily(family), func(b Backend) bool { return b.State == Down || b.cutOff })
}

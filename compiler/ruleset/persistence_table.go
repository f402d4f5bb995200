package ruleset

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// A stickyTable is the map from a farm's clients of one family to backend IDs, which packets fill.
type stickyTable struct {
	*object
	Family  addr.Family
	On      []farm.HashKey // the fields that a client is remembered by
	Prefix  int            // how many leading bits of a client's address count
	Lasts   time.Duration
	Tracked bool // conntrack knows the address that the client asked for
	Marked  bool // the ID is in the packet mark
}

// A stickyLookup is the part of a chain that looks up known clients: static sessions first, then the table.
type stickyLookup struct {
	*stickyTable
	Static []*staticSessions
	Asked  netip.Addr // where conntrack does not know it: the address that the client asked for
	Target string     // the chain that the packets of a known client go to
	Direct *natTarget // the translation that the lookup does itself, without such a chain; nil: it does none
	Origin *diag.Origin
}

// sticky gives the lookup of the frontend's farm, with the address that the frontend's clients ask for; nil without
// persistence.
func (l *linker) sticky(d frontend, a *slotAssignment, target string) *stickyLookup {
	s := d.farm
	if s.Persistence == nil {
		return nil
	}
	return &stickyLookup{
		stickyTable: l.stickyTable(d, s.clientTable(d)),
		Static:      l.staticSessions(d, a),
		Asked:       d.Address,
		Target:      target,
		Origin:      s.Origin("scheduler"),
	}
}

// clientTable is the name of the table of the frontend's clients.
func (s *service) clientTable(d frontend) string {
	if group := s.PersistenceGroup(); group != "" {
		return "group/" + group + "/clients-" + d.Family.Suffix()
	}
	if s.Mode == farm.Stateless && slices.Contains(s.Persistence.On, farm.DestinationAddress) {
		return s.ownName("clients/" + addressName(d.Address) + "-" + d.Family.Suffix())
	}
	return s.ownName("clients-" + d.Family.Suffix())
}

func (l *linker) stickyTable(d frontend, name string) *stickyTable {
	s := d.farm
	o := newMap(name, s.section(), "sticky-table").at(s.table())
	return obtain(&l.rules, o, func() *stickyTable {
		return &stickyTable{object: o, Family: d.Family, On: s.rememberedBy(), Prefix: s.Persistence.Prefix[d.Family],
			Lasts: s.Persistence.Timeout, Tracked: s.Tracked(), Marked: s.usesPacketMark()}
	})
}

// rememberedBy is the fields that clients are remembered by. In mode stateless the packet has lost the address that the
// client asked for by then, so there is a table for each address.
func (s *service) rememberedBy() []farm.HashKey {
	return slices.DeleteFunc(slices.Clone(s.Persistence.On), func(k farm.HashKey) bool {
		return s.Mode == farm.Stateless && k == farm.DestinationAddress
	})
}

// addressName is an address as part of a name, which can have no colon.
func addressName(a netip.Addr) string { return strings.ReplaceAll(a.String(), ":", "-") }

// maxKeyBytes is the number of bytes that a key may have in a rule that adds it to a map; nft 1.0.6 aborts beyond. Of a
// wider key the map holds a hash of 32 bits. Two clients with one hash share a backend, which harms neither.
const maxKeyBytes = 16

// Hashed reports whether the table holds hashes of the fields.
func (t *stickyTable) Hashed() bool {
	sum := 0
	for _, k := range t.On {
		sum += 4 * hashFields[k].width
		if t.Family == addr.IP4 && (k == farm.SourceAddress || k == farm.DestinationAddress) {
			sum -= 12
		}
	}
	return sum > maxKeyBytes || sum == 0
}

// Key is the key that a rule looks up: fields of the packet, or their hash.
func (t *stickyTable) Key() string {
	if !t.Hashed() {
		return t.fields(t.On, t.Prefix)
	}
	if len(t.On) == 0 {
		return "numgen inc mod 1" // all are one client
	}
	words := hashInput(t.On, t.Family)
	for i, word := range words {
		words[i] = t.field(word, t.Prefix)
	}
	return fmt.Sprintf("jhash %s mod %d seed %s", strings.Join(words, " . "), uint32(1<<32-1), seed)
}

// fields gives fields of a packet as nft writes them.
func (t *stickyTable) fields(on []farm.HashKey, prefix int) string {
	words := make([]string, len(on))
	for i, k := range on {
		words[i] = t.field(hashFields[k].words[t.Family], prefix)
	}
	return strings.Join(words, " . ")
}

// field gives a field as it identifies a client: the source without the bits beyond the prefix, and the destination
// that the client asked for, which the packet has lost by then.
func (t *stickyTable) field(word string, prefix int) string {
	switch {
	case word == hashFields[farm.DestinationAddress].words[t.Family] && t.Tracked:
		return "ct original " + word
	case word == hashFields[farm.SourceAddress].words[t.Family] && prefix < t.Family.Width():
		return word + " & " + mask(t.Family, prefix).String()
	}
	return word
}

// mask is the address with so many leading bits set.
func mask(family addr.Family, length int) netip.Addr {
	bits := make([]byte, family.Width()/8)
	for i := range length {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(bits)
	return a
}

// Types are the types of the fields in the keys.
func (t *stickyTable) Types() string { return fieldTypes(t.On, t.Family) }

func fieldTypes(on []farm.HashKey, family addr.Family) string {
	words := make([]string, len(on))
	for i, k := range on {
		switch k {
		case farm.SourceAddress, farm.DestinationAddress:
			words[i] = addressType(family)
		case farm.SourcePort, farm.DestinationPort:
			words[i] = "inet_service"
		default:
			words[i] = "ether_addr"
		}
	}
	return strings.Join(words, " . ")
}

// addressType is nft's type of the family's addresses.
func addressType(f addr.Family) string { return "ipv" + f.Version() + "_addr" }

// IDField is the field of a packet that carries a backend ID.
func (t *stickyTable) IDField() string {
	return (&slotMap{numbering: numbering{Family: t.Family}, Marked: t.Marked}).IDField()
}

// IDType is the type of a backend ID.
func (t *stickyTable) IDType() string {
	if t.Marked {
		return "mark"
	}
	return addressType(t.Family)
}

// Timeout is how long a client is remembered.
func (t *stickyTable) Timeout() string { return toml.FormatDuration(t.Lasts) }

// Restored is the destination that a packet gets back if its client is not known.
func (k *stickyLookup) Restored() string {
	if k.Tracked {
		return "ct original " + k.Family.IP() + " daddr"
	}
	return k.Asked.String()
}

// A clientLookup is one rule that looks up a known client.
type clientLookup struct {
	Client string // the fields that are looked up
	In     string // the map
	Renews bool   // the client's time begins again
}

// Lookups are the rules that look up a known client, in their order.
func (k *stickyLookup) Lookups() []clientLookup {
	var out []clientLookup
	for _, m := range k.Static {
		out = append(out, clientLookup{k.fields(m.On, k.Family.Width()), m.Name, false})
	}
	return append(out, clientLookup{k.Key(), k.Name, true})
}

// A ClientTable is a map in the kernel from remembered clients to backend IDs.
type ClientTable struct {
	Table    TableFamily
	Map      string
	Backends map[string]string // names of backends by their IDs, as the kernel stores them

	Family addr.Family
	On     []farm.HashKey // the fields of a key in their order; none: the keys are hashes
	Prefix int            // number of leading bits of a client's address that count

	on      []farm.HashKey // the fields that clients are remembered by
	service netip.Addr     // zero: clients of all addresses of the farm
}

// ClientTables gives the tables of a farm's remembered clients. There are none without persistence.
func ClientTables(f *farm.Farm) (out []ClientTable) {
	s := newService(f)
	if s.Persistence == nil || s.Down {
		return nil
	}
	named := map[string]bool{}
	for _, d := range s.frontends {
		name := s.clientTable(d)
		if named[name] {
			continue
		}
		named[name] = true
		t := ClientTable{Table: s.table(), Map: name, Backends: map[string]string{}, Family: d.Family,
			On: s.rememberedBy(), Prefix: s.Persistence.Prefix[d.Family], on: s.rememberedBy()}
		if len(t.on) < len(s.Persistence.On) {
			t.service = d.Address
		}
		if (&stickyTable{Family: t.Family, On: t.On}).Hashed() {
			t.On = nil
		}
		for backend, id := range s.backendIDs(d.Family) {
			t.Backends[s.idBytes(id)] = backend
		}
		out = append(out, t)
	}
	return out
}

// idBytes gives an ID as the kernel stores it: an address, or a mark in the byte order of the machine.
func (s *service) idBytes(id netip.Addr) string {
	if s.usesPacketMark() {
		return string(binary.NativeEndian.AppendUint32(nil, lastBytes(id)))
	}
	return string(id.AsSlice())
}

package ruleset

import (
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A pick turns a slot, the number that a scheduler draws or computes, into a backend by one lookup in a map. Many farms
// share a chain and its map where the frontend stands in the keys of the map; the others have chains and maps of their
// own.

// A keyPrefix is the fields that stand before the slot, or before a backend ID, in the keys of a map.
type keyPrefix int

const (
	frontendPrefix keyPrefix = iota // protocol, address and port
	addressPrefix                   // address
	datagramPrefix                  // protocol and address, which later fragments have, too
	noPrefix                        // none: the map belongs to one farm
)

// String is the name of the prefix in templates.
func (k keyPrefix) String() string { return [...]string{"frontend", "address", "datagram", ""}[k] }

// A numbering is how rules compute the number of a slot.
type numbering struct {
	Family    addr.Family
	Scheduler farm.Scheduler
	HashOn    []farm.HashKey
	Quoted    bool // the packet that an ICMP error quotes is hashed
}

// HashInput gives the fields that are hashed.
func (n numbering) HashInput() string {
	if n.Quoted {
		return strings.Join(quotedInput(n.HashOn, n.Family), " . ")
	}
	return strings.Join(hashInput(n.HashOn, n.Family), " . ")
}

// Seed is the seed of the hash.
func (n numbering) Seed() string { return seed }

func (s *service) numbering(family addr.Family) numbering {
	return numbering{Family: family, Scheduler: s.Scheduler, HashOn: s.HashOn}
}

// schedulerName is the scheduler as part of a name, with the fields that it hashes.
func (s *service) schedulerName() string {
	if s.Scheduler != farm.Hash && s.Scheduler != farm.Maglev {
		return string(s.Scheduler)
	}
	return strings.Join(append([]string{string(s.Scheduler)}, hashNames(s.HashOn)...), "-")
}

// A slotMap is a map from slots, numbered from 0, to backends or to backend IDs; or from backend IDs to backends.
type slotMap struct {
	*object
	numbering
	Number int          // of slots; a map for a hash may lack some of them
	Prefix keyPrefix    // of the keys
	Keys   string       // the template of the fields before the slot, where Prefix does not say them
	Ported bool         // the values name a port
	Moved  *movedPorts  // connections to these ports go to other ports; nil: to none
	Counts bool         // its elements count lookups: each is a new connection
	Marked bool         // the values are packet marks
	Origin *diag.Origin // of rules that ask the map
}

// maxSharedSlots is the number of slots up to which a farm shares maps. Its slots stand there once for each of its
// frontends; weights that hardly divide come to tens of thousands of slots, which then stand once, in a map of the
// farm's own.
const maxSharedSlots = 1 << 10

// maxSharedKeyWidth is the number of registers of 4 bytes that hashed fields of IPv6 may take beside protocol, address
// and port in the key of one lookup; nft 1.0.6 aborts beyond. IPv4 has room for all fields.
const maxSharedKeyWidth = 5

// sharesNumber reports whether the number that the farm's scheduler computes can be part of a key that farms share.
// Round robin has a counter for each farm, and the slots of least-connections move. A maglev table is large, so it
// stands in a map once, for all frontends of all farms with the same backends.
func (s *service) sharesNumber(family addr.Family) bool {
	switch s.Scheduler {
	case farm.RoundRobin, farm.Maglev, farm.LeastConnections:
		return false
	case farm.Hash:
		return family == addr.IP4 || width(s.HashOn) <= maxSharedKeyWidth
	}
	return true
}

// pickNames names the chain with a number of its own, and its map. A maglev table's names are the same for all farms
// with the same backends; kind tells the maps of one nft table apart.
func (d frontend) pickNames(a *slotAssignment, kind string) (chain, slots string) {
	if d.farm.Scheduler == farm.Maglev && len(a.slots) > 0 {
		base := kind + a.maglevName(d.farm, d.Family)
		return base + "-" + d.Family.Suffix(), "slots-" + base
	}
	return d.farm.ownName(d.Family.Suffix()), d.farm.ownName("slots")
}

// sharedName names the chain that farms of one kind share.
func (d frontend) sharedName(kind string, a *slotAssignment) string {
	return kind + "-" + d.farm.schedulerName() + "-" + strconv.Itoa(len(a.slots)) + "-" + d.Family.Suffix()
}

// slotMap gives the map of that name from so many slots.
func (l *linker) slotMap(d frontend, name string, number int) *slotMap {
	o := newMap(name, d.farm.section(), "slots").at(d.farm.table())
	return obtain(&l.rules, o, func() *slotMap {
		return &slotMap{object: o, numbering: d.farm.numbering(d.Family), Number: number, Prefix: noPrefix}
	})
}

// IDField is the field of a packet that carries a backend ID, or gets the backend's address.
func (m *slotMap) IDField() string {
	if m.Marked {
		return "meta mark"
	}
	return m.Family.IP() + " daddr"
}

// A portRule asks a map in the rules of one protocol: nft wants to know the protocol before a rule rewrites a port.
type portRule struct {
	*slotMap
	Protocol farm.Protocol // "": of every protocol, as the values name no port
	Moved    *movedPorts   // the connections to these ports go to other ports; nil: the values say the ports
}

// A protocolList is the protocols of a chain's packets.
type protocolList []farm.Protocol

// add adds a protocol, once; "" stands for none.
func (l *protocolList) add(p farm.Protocol) {
	if p != "" && !slices.Contains(*l, p) {
		*l = append(*l, p)
	}
}

// portRules gives the rules that ask a map.
func (m *slotMap) portRules(protocols []farm.Protocol) []portRule {
	var out []portRule
	for _, p := range protocols {
		if m.Moved != nil {
			out = append(out, portRule{m, p, m.Moved})
		} else if m.Ported {
			out = append(out, portRule{m, p, nil})
		}
	}
	if !m.Ported && (m.Moved == nil || m.Moved.Some) {
		out = append(out, portRule{m, "", nil})
	}
	return out
}

// table is the table in which the farm's packets are picked.
func (s *service) table() TableFamily {
	if len(s.devices()) > 0 {
		return Netdev
	}
	return Inet
}

// section is the section of the farm's data path.
func (s *service) section() section {
	switch s.Mode {
	case farm.DSR:
		return dsrSection
	case farm.Stateless:
		return statelessSection
	}
	return natPickSection
}

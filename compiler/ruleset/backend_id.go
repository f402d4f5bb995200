package ruleset

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// A backend ID is an address that stands for a backend inside a packet, while rules remember, count or replace the
// pick. It follows from the farm's backends alone, so clients keep their backends when another one comes or goes.

// backendIDs gives the IDs by the names of the farm's backends; nil if a pick takes one step.
func (s *service) backendIDs(family addr.Family) map[string]netip.Addr {
	switch {
	case s.Mode == farm.Stateless && s.Persistence != nil:
		return s.addressIDs(family)
	case s.twoStep(family):
		return s.countableIDs(family)
	}
	return nil
}

// addressIDs are for requests that carry the ID as their destination: the backend's own address, or, for backends that
// share an address on different ports, an address of 0.0.0.0/8 or 100::/64.
func (s *service) addressIDs(family addr.Family) map[string]netip.Addr {
	owners := map[netip.Addr]int{}
	for _, b := range s.WithFamily(family) {
		owners[b.Address[family]]++
	}
	out, taken := map[string]netip.Addr{}, map[uint32]bool{}
	for _, b := range s.WithFamily(family) {
		id := b.Address[family]
		if owners[id] > 1 {
			id = reservedID(b, family, taken)
			taken[lastBytes(id)] = true
			if family == addr.IP6 {
				id = discardID(lastBytes(id))
			}
		}
		out[b.Name] = id
	}
	return out
}

// countableIDs end in the same 4 bytes in both families, which count the backend's connections. The ID of IPv4 is the
// backend's own address; for backends that share an address on different ports it is one of 0.0.0.0/8, which no machine
// has (RFC 1122). The ID of IPv6 is the same within 100::/64 (RFC 6666), or the backend's own address if it has none of
// IPv4.
func (s *service) countableIDs(family addr.Family) map[string]netip.Addr {
	if s.PersistenceGroup() != "" {
		return s.nameIDs(family)
	}
	owners := map[netip.Addr]int{}
	for _, b := range s.Backends {
		owners[b.Address[addr.IP4]]++
	}
	out, taken := map[string]netip.Addr{}, map[uint32]bool{}
	for _, b := range s.WithFamily(addr.IP4) {
		id := b.Address[addr.IP4]
		if owners[id] > 1 {
			id = reservedID(b, addr.IP4, taken)
		}
		taken[lastBytes(id)] = true
		out[b.Name] = id
	}
	if family == addr.IP4 {
		return out
	}
	for _, b := range s.WithFamily(addr.IP6) {
		id := b.Address[addr.IP6]
		switch {
		case out[b.Name].IsValid():
			id = discardID(lastBytes(out[b.Name]))
		case taken[lastBytes(id)]:
			id = discardID(lastBytes(reservedID(b, addr.IP6, taken)))
		}
		taken[lastBytes(id)] = true
		out[b.Name] = id
	}
	return out
}

// reservedID is an address of 0.0.0.0/8 with last 4 bytes that are not taken.
func reservedID(b farm.Backend, family addr.Family, taken map[uint32]bool) netip.Addr {
	number := uint32(slots.Hash64(b.Socket(family))) % (1 << 24)
	for taken[number] {
		number = (number + 1) % (1 << 24)
	}
	return netip.AddrFrom4([4]byte{0, byte(number >> 16), byte(number >> 8), byte(number)})
}

// discardID is an address of 100::/64.
func discardID(last uint32) netip.Addr {
	address := [16]byte{0: 1}
	binary.BigEndian.PutUint32(address[12:], last)
	return netip.AddrFrom16(address)
}

func lastBytes(a netip.Addr) uint32 {
	bytes := a.AsSlice()
	return binary.BigEndian.Uint32(bytes[len(bytes)-4:])
}

// usesPacketMark reports whether the farm's packets carry the ID in their mark. In mode dsr a frame keeps its address,
// and leaves the machine before anything else sees the mark.
func (s *service) usesPacketMark() bool { return s.Mode == farm.DSR }

// idText writes an ID as the value of a map: an address, or a mark.
func (s *service) idText(id netip.Addr) string {
	if s.usesPacketMark() {
		return fmt.Sprintf("0x%x", lastBytes(id))
	}
	return id.String()
}

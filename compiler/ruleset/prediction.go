package ruleset

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// A ClientPacket is the first packet of a client as it arrives. Zero fields are not known. Hashes and the keys of
// remembered clients are computed from it here as the kernel computes them.
type ClientPacket struct {
	Source, Destination         netip.Addr
	SourcePort, DestinationPort uint16
}

// HashedBackend gives the backend that scheduler hash or maglev picks for the packet. It is false if no backend serves,
// if a hashed field is not known, and for other schedulers: symmetric hash has a seed of the machine.
func HashedBackend(f *farm.Farm, p ClientPacket) (farm.Backend, bool) {
	family := addr.FamilyOf(p.Destination)
	input, known := p.hashed(f.HashOn, family.Width())
	if f.Scheduler != farm.Hash && f.Scheduler != farm.Maglev || !known {
		return farm.Backend{}, false
	}
	a := newService(f).newAssignment(family)
	if len(a.slots) == 0 {
		return farm.Backend{}, false
	}
	slot := slots.Scale(slots.Jhash(input, seedNumber()), uint32(len(a.slots)))
	return a.serving[a.slots[slot]], true
}

// KeyOf gives the key under which the table has the client of the packet. It is false if a field is not known, or if
// the table is for another address of the farm.
func (t ClientTable) KeyOf(p ClientPacket) ([]byte, bool) {
	key, known := p.hashed(t.on, t.Prefix)
	switch {
	case t.service.IsValid() && t.service != p.Destination:
		return nil, false
	case len(t.on) == 0: // all are one client
		return make([]byte, 4), true
	case !known || len(t.On) > 0:
		return key, known
	}
	return binary.NativeEndian.AppendUint32(nil, slots.Scale(slots.Jhash(key, seedNumber()), 1<<32-1)), true
}

// hashed gives fields as they lie in the registers of the kernel: each padded to four bytes, one alone as it is. The
// source address has its leading bits alone.
func (p ClientPacket) hashed(on []farm.HashKey, prefix int) (out []byte, known bool) {
	for _, k := range on {
		field := p.field(k, prefix)
		if field == nil {
			return nil, false
		}
		out = append(out, field...)
		for len(on) > 1 && len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out, true
}

// field gives a field in network byte order, nil if it is not known. Packets that a program describes have no MAC
// addresses.
func (p ClientPacket) field(k farm.HashKey, prefix int) []byte {
	address := map[farm.HashKey]netip.Addr{farm.SourceAddress: p.Source, farm.DestinationAddress: p.Destination}[k]
	port := map[farm.HashKey]uint16{farm.SourcePort: p.SourcePort, farm.DestinationPort: p.DestinationPort}[k]
	switch {
	case k == farm.SourceAddress && address.IsValid():
		network, _ := address.Prefix(prefix) // without error: the prefix is one of the family
		return network.Addr().AsSlice()
	case address.IsValid():
		return address.AsSlice()
	case port != 0:
		return binary.BigEndian.AppendUint16(nil, port)
	}
	return nil
}

// seedNumber is the seed of every hash.
func seedNumber() uint32 {
	n, err := strconv.ParseUint(seed, 0, 32)
	if err != nil {
		panic("the seed " + seed + " is no number")
	}
	return uint32(n)
}

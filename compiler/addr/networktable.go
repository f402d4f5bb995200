package addr

import (
	"iter"
	"net/netip"
	"slices"
)

// A NetworkTable has a value for each of some networks, and finds the networks that hold an address, the longest prefix
// first. An address is a network of one. A search costs one lookup for each length of prefix of the family. The zero
// table is empty.
type NetworkTable[T any] struct {
	values  map[netip.Prefix]*T
	lengths [len(Families)][]int // of the prefixes, the longest first
}

// At gives the value of a network, which is in the table from then on. The network has no bits beyond its prefix.
func (t *NetworkTable[T]) At(network netip.Prefix) *T {
	if v := t.values[network]; v != nil {
		return v
	}
	if t.values == nil {
		t.values = map[netip.Prefix]*T{}
	}
	v := new(T)
	t.values[network] = v
	t.addLength(FamilyOf(network.Addr()), network.Bits())
	return v
}

// Empty reports whether the table has no network.
func (t *NetworkTable[T]) Empty() bool { return len(t.values) == 0 }

func (t *NetworkTable[T]) addLength(f Family, bits int) {
	at, found := slices.BinarySearchFunc(t.lengths[f], bits, func(have, bits int) int { return bits - have })
	if !found {
		t.lengths[f] = slices.Insert(t.lengths[f], at, bits)
	}
}

// Around gives the values of the networks that hold all of the network, which is one of them, the longest prefix first.
func (t *NetworkTable[T]) Around(network netip.Prefix) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, bits := range t.lengths[FamilyOf(network.Addr())] {
			if bits > network.Bits() {
				continue
			}
			if v := t.values[netip.PrefixFrom(network.Addr(), bits).Masked()]; v != nil && !yield(v) {
				return
			}
		}
	}
}

// Holding is Around with one address.
func (t *NetworkTable[T]) Holding(a netip.Addr) iter.Seq[*T] {
	return t.Around(netip.PrefixFrom(a, a.BitLen()))
}

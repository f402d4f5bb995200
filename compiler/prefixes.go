package compiler

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
)

// A number is an address to reckon with. Those of IPv4 stand in the lower 32 bits.
type number struct{ hi, lo uint64 }

func numberOf(a netip.Addr) number {
	if a.Is4() {
		b := a.As4()
		return number{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return number{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// address is described at number.
func (n number) address(f Family) netip.Addr {
	if f == IP4 {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(n.lo))))
	}
	return netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n.hi), n.lo)))
}

// appendTo writes the address, one of IPv4 in the clothes of IPv6 without dots.
func (n number) appendTo(out []byte, f Family) []byte {
	if f == IP6 && n.hi == 0 && n.lo>>32 == 0xffff {
		return fmt.Appendf(out, "::ffff:%x:%x", uint16(n.lo>>16), uint16(n.lo))
	}
	return n.address(f).AppendTo(out)
}

func (n number) compare(o number) int {
	return cmp.Or(cmp.Compare(n.hi, o.hi), cmp.Compare(n.lo, o.lo))
}

func (n number) plus(o number) number {
	lo, carry := bits.Add64(n.lo, o.lo, 0)
	hi, _ := bits.Add64(n.hi, o.hi, carry)
	return number{hi, lo}
}

func (n number) minus(o number) number {
	lo, borrow := bits.Sub64(n.lo, o.lo, 0)
	hi, _ := bits.Sub64(n.hi, o.hi, borrow)
	return number{hi, lo}
}

// power is 2 to the power of exponent, at most 127.
func power(exponent int) number {
	if exponent >= 64 {
		return number{1 << (exponent - 64), 0}
	}
	return number{0, 1 << exponent}
}

// evenness is how often 2 divides the number; 128 times if it is 0.
func (n number) evenness() int {
	if n.lo != 0 {
		return bits.TrailingZeros64(n.lo)
	}
	return 64 + bits.TrailingZeros64(n.hi)
}

// digits is how many binary digits the number has.
func (n number) digits() int {
	if n.hi != 0 {
		return 64 + bits.Len64(n.hi)
	}
	return bits.Len64(n.lo)
}

// A stretch is a network, or a run of addresses, in numbers.
type stretch struct{ first, last number }

// holds says whether the address is in the stretch.
func (s stretch) holds(a number) bool { return s.first.compare(a) <= 0 && a.compare(s.last) <= 0 }

// mergeStretches joins what overlaps or adjoins, and gives what is left in its order.
func mergeStretches(stretches []stretch) []stretch {
	slices.SortFunc(stretches, func(a, b stretch) int { return a.first.compare(b.first) })
	var out []stretch
	for _, s := range stretches {
		n := len(out)
		if n > 0 && (s.first.compare(out[n-1].last) <= 0 || s.first == out[n-1].last.plus(number{0, 1})) {
			if s.last.compare(out[n-1].last) > 0 {
				out[n-1].last = s.last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// blocks calls do with the networks that the stretch consists of: the fewest that do, but none of all addresses, which is
// two halves.
func (s stretch) blocks(f Family, do func(first number, length int)) {
	width := f.width()
	for at := s.first; ; {
		size := min(at.evenness(), width-1)
		if left := s.last.minus(at).plus(number{0, 1}); left != (number{}) { // else all addresses of IPv6 are left
			size = min(size, left.digits()-1)
		}
		do(at, width-size)
		at = at.plus(power(size))
		if end := at.minus(number{0, 1}); end == s.last {
			return
		}
	}
}

// A prefixSet is a set of networks of one length, which the kernel finds an address in by a single hash.
type prefixSet struct {
	Length int
	Firsts []number // the networks' first addresses, in their order
}

// holds says whether the address, of the family of the set, is in one of its networks.
func (s prefixSet) holds(a number, f Family) bool {
	i, _ := slices.BinarySearchFunc(s.Firsts, a.plus(power(0)), number.compare)
	return i > 0 && (s.Length == 0 || a.compare(s.Firsts[i-1].plus(power(f.width()-s.Length))) < 0)
}

// prefixSets parts the stretches, which are merged, into sets of few lengths.
func prefixSets(stretches []stretch, f Family) []prefixSet {
	counts := make([]int, f.width()+1)
	for _, s := range stretches {
		s.blocks(f, func(_ number, length int) { counts[length]++ })
	}
	to := lengthsFor(counts)
	sets := make([]prefixSet, len(counts))
	for _, s := range stretches {
		s.blocks(f, func(first number, length int) {
			set, step := &sets[to[length]], power(f.width()-to[length])
			for range 1 << (to[length] - length) {
				set.Firsts = append(set.Firsts, first)
				first = first.plus(step)
			}
		})
	}
	for length := range sets {
		sets[length].Length = length
	}
	return slices.DeleteFunc(sets, func(s prefixSet) bool { return len(s.Firsts) == 0 })
}

// What one more length of networks costs is a lookup for every packet; what it saves are elements. A lookup is worth an
// eighth of the elements, and leastWorth of a short list.
const leastWorth = 64

// lengthsFor gives for each length of networks, of which there are so many, the one that they are written as: their own, or
// a longer one (Srinivasan and Varghese, "Faster IP lookups using controlled prefix expansion", SIGMETRICS 1998). It
// is the choice with the least of elements and lookups together. Numbers are rounded up to powers of two for that, so
// that a list with a line more or less is written with the same lengths, but rarely.
func lengthsFor(counts []int) []int {
	rounded, all := make([]int, len(counts)), 0
	last := 0
	for length, n := range counts {
		if n > 0 {
			rounded[length], last = 1<<bits.Len(uint(n-1)), length
		}
		all += rounded[length]
	}
	least, before := make([]int, last+1), make([]int, last+1) // of the lengths up to this one, if it is taken: the price, and the one taken before it
	for length := 1; length <= last; length++ {
		least[length] = unaffordable
		elements := 0
		for from := length - 1; from >= 0; from-- { // all from there on are written as this one
			elements += expanded(rounded[from+1], length-from-1)
			if price := least[from] + elements + max(leastWorth, all/8); price < least[length] {
				least[length], before[length] = price, from
			}
		}
	}
	out := make([]int, len(counts))
	for taken := last; taken > 0; taken = before[taken] {
		for length := before[taken] + 1; length <= taken; length++ {
			out[length] = taken
		}
	}
	return out
}

const unaffordable = 1 << 50

// expanded is how many networks come of n of them if they are by so many bits longer.
func expanded(n, by int) int {
	switch {
	case n == 0:
		return 0
	case by > 20:
		return unaffordable / 256
	}
	return n << by
}

package addr

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
)

// A Number is an address as an integer of 128 bits. An IPv4 address is in the lower 32 bits.
type Number struct{ hi, lo uint64 }

// NumberOf gives the number of a valid address.
func NumberOf(a netip.Addr) Number {
	if a.Is4() {
		b := a.As4()
		return Number{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return Number{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Address gives the number's address in the family. For IPv4 the upper 96 bits are ignored.
func (n Number) Address(f Family) netip.Addr {
	if f == IP4 {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(n.lo))))
	}
	return netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n.hi), n.lo)))
}

// AppendTo appends the address as text. An IPv4 address mapped into IPv6 is written without dots.
func (n Number) AppendTo(out []byte, f Family) []byte {
	if f == IP6 && n.hi == 0 && n.lo>>32 == 0xffff {
		return fmt.Appendf(out, "::ffff:%x:%x", uint16(n.lo>>16), uint16(n.lo))
	}
	return n.Address(f).AppendTo(out)
}

func (n Number) compare(o Number) int {
	return cmp.Or(cmp.Compare(n.hi, o.hi), cmp.Compare(n.lo, o.lo))
}

func (n Number) plus(o Number) Number {
	lo, carry := bits.Add64(n.lo, o.lo, 0)
	hi, _ := bits.Add64(n.hi, o.hi, carry)
	return Number{hi, lo}
}

func (n Number) minus(o Number) Number {
	lo, borrow := bits.Sub64(n.lo, o.lo, 0)
	hi, _ := bits.Sub64(n.hi, o.hi, borrow)
	return Number{hi, lo}
}

// power gives 2 to the power of exponent, which is at most 127.
func power(exponent int) Number {
	if exponent >= 64 {
		return Number{1 << (exponent - 64), 0}
	}
	return Number{0, 1 << exponent}
}

// trailingZeros is the number of zero bits at the lower end, 128 for 0.
func (n Number) trailingZeros() int {
	if n.lo != 0 {
		return bits.TrailingZeros64(n.lo)
	}
	return 64 + bits.TrailingZeros64(n.hi)
}

// bitLength is the number of bits without leading zeros, 0 for 0.
func (n Number) bitLength() int {
	if n.hi != 0 {
		return 64 + bits.Len64(n.hi)
	}
	return bits.Len64(n.lo)
}

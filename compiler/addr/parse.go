package addr

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Network is a run of addresses of one family, first and last included.
type Network struct {
	First, Last netip.Addr
}

// Range is the network in numbers.
func (n Network) Range() Range { return Range{NumberOf(n.First), NumberOf(n.Last)} }

// NetworkSyntax tells the author of a farm or a list which forms ParseNetwork reads.
const NetworkSyntax = "an address, a network or a range: 192.0.2.7, 192.0.2.0/24, 192.0.2.5-192.0.2.9"

// ParseNetwork reads an address, a network (host bits are allowed, and mean the whole network) or a range.
func ParseNetwork(word string) (Network, error) {
	if first, last, isRange := strings.Cut(word, "-"); isRange {
		a, errA := ParseAddress(strings.TrimSpace(first))
		b, errB := ParseAddress(strings.TrimSpace(last))
		switch {
		case errA != nil:
			return Network{}, errA
		case errB != nil:
			return Network{}, errB
		case a.Is4() != b.Is4():
			return Network{}, fmt.Errorf("%q joins two families", word)
		case b.Less(a):
			return Network{}, fmt.Errorf("%q ends before it begins", word)
		}
		return Network{a, b}, nil
	}
	if strings.Contains(word, "/") {
		p, err := netip.ParsePrefix(word)
		if err != nil || p.Addr().Is4In6() {
			return Network{}, fmt.Errorf("%q is not a network", word)
		}
		return Network{p.Masked().Addr(), Last(p)}, nil
	}
	a, err := ParseAddress(word)
	return Network{a, a}, err
}

// ParseAddress reads an IPv4 or IPv6 address. It refuses zones and IPv4 addresses written as IPv6, because nft does.
func ParseAddress(word string) (netip.Addr, error) {
	a, err := netip.ParseAddr(word)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is not an address", word)
	case a.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q names a zone, which a rule can't hold", word)
	case a.Is4In6():
		return netip.Addr{}, fmt.Errorf("%q is an IPv4 address written as IPv6", word)
	}
	return a, nil
}

// Last is the last address of the prefix.
func Last(p netip.Prefix) netip.Addr {
	bits := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(bits)*8; i++ {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(bits)
	return last
}

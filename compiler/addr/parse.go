package addr

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Network is a range of addresses of one family, from First to Last, both included.
type Network struct {
	First, Last netip.Addr
}

// Range gives the network as numbers.
func (n Network) Range() Range { return Range{NumberOf(n.First), NumberOf(n.Last)} }

// Holds reports whether the network has an address.
func (n Network) Holds(a netip.Addr) bool {
	return FamilyOf(n.First) == FamilyOf(a) && n.Range().Holds(NumberOf(a))
}

// NetworkSyntax is a hint for messages: the forms that ParseNetwork reads.
const NetworkSyntax = "an address, a network or a range: 192.0.2.7, 192.0.2.0/24, 192.0.2.5-192.0.2.9"

// ParseNetwork reads an address, a network or a range. Host bits of a network are ignored. The error quotes the word
// and says why it is none of the three.
func ParseNetwork(word string) (Network, error) {
	if strings.Contains(word, "-") {
		return parseRange(word)
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

// parseRange reads a range of addresses. Blanks around the hyphen are allowed.
func parseRange(word string) (Network, error) {
	first, last, _ := strings.Cut(word, "-")
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

// ParseAddress reads an IPv4 or IPv6 address as nft takes it: without a zone, and no IPv4 address written as IPv6.
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

// Last gives the last address of a valid prefix.
func Last(p netip.Prefix) netip.Addr {
	bits := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(bits)*8; i++ {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(bits)
	return last
}

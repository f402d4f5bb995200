package addr

import "net/netip"

// A Family is one of the two versions of the Internet Protocol.
type Family int

// The two families.
const (
	IP4 Family = iota
	IP6
)

// Families are the two families, in the order in which they are rendered.
var Families = [...]Family{IP4, IP6}

// String gives the name that people read.
func (f Family) String() string { return [...]string{"IPv4", "IPv6"}[f] }

// IP is nft's word for the header of the family: ip or ip6.
func (f Family) IP() string { return [...]string{"ip", "ip6"}[f] }

// Suffix is the last part of the names of the family's nft objects.
func (f Family) Suffix() string { return [...]string{"ip4", "ip6"}[f] }

// Version is the number in the names of nft's types: 4 of ipv4_addr, 6 of ipv6_addr.
func (f Family) Version() string { return [...]string{"4", "6"}[f] }

// Width is the number of bits of an address: 32 or 128.
func (f Family) Width() int { return [...]int{32, 128}[f] }

// FamilyOf gives the family of a valid address. An IPv4 address written as IPv6 counts as IPv6.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IP4
	}
	return IP6
}

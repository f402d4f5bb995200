package addr

import "net/netip"

// A Family is one of the two versions of the Internet Protocol.
type Family int

// The two families.
const (
	IP4 Family = iota
	IP6
)

// Families are both of them, in the order in which they are rendered.
var Families = [...]Family{IP4, IP6}

// String gives the name that people read.
func (f Family) String() string { return [...]string{"IPv4", "IPv6"}[f] }

// IP is nft's word for the header of the family.
func (f Family) IP() string { return [...]string{"ip", "ip6"}[f] }

// Suffix ends the names of nft objects of the family.
func (f Family) Suffix() string { return [...]string{"ip4", "ip6"}[f] }

// Version is the number of the version in the names of nft's types.
func (f Family) Version() string { return [...]string{"4", "6"}[f] }

// Width is how many bits an address of the family has.
func (f Family) Width() int { return [...]int{32, 128}[f] }

// FamilyOf is the family of the address, which must not be IPv4 written as IPv6.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IP4
	}
	return IP6
}

package farm

import (
	"net/netip"
	"slices"

	"farmc/compiler/addr"
)

// Client gives the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address, because a host
// with one address of it has all of them.
func Client(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.PrefixFrom(a, a.BitLen())
	}
	return netip.PrefixFrom(a, 64).Masked()
}

// ParseClient reads an address, or the network of a client.
func ParseClient(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, p == Client(p.Addr())
	}
	a, err := addr.ParseAddress(text)
	return Client(a), err == nil
}

// Allows reports whether no limit of the farm holds for the client.
func (f *Farm) Allows(client netip.Prefix) bool {
	family := addr.FamilyOf(client.Addr())
	at := addr.NumberOf(client.Addr())
	allow := f.Access.Free()
	return slices.ContainsFunc(allow.Ranges(family), func(s addr.Range) bool { return s.Holds(at) }) ||
		slices.ContainsFunc(allow.Lists, func(l *AddressList) bool { return l.holds(at, family) })
}

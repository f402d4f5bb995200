package ruleset

import (
	"fmt"
	"net"
	"net/netip"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// The addresses of a network are found by their prefix: a rule masks the packet's address and looks up the rest, in a
// map for each length of prefix. So a network is one element, and a longer prefix, which is asked first, wins. A map of
// intervals would take the kernel quadratic time to load, and overlapping networks could not stand in it.

// An addressMask says how rules mask addresses before they look them up.
type addressMask struct {
	Family addr.Family
	bits   int // of the prefix; 0: they look up the whole address
}

func (d frontend) addressMask() addressMask { return addressMask{d.Family, d.Specificity.Bits()} }

// Mask stands after an address in a rule, as " & 255.255.255.240"; "" without a prefix.
func (m addressMask) Mask() string {
	if m.bits == 0 {
		return ""
	}
	mask, _ := netip.AddrFromSlice(m.mask())
	return " & " + mask.String()
}

// RawMask is Mask after raw payload, as " & 0xfffffff0".
func (m addressMask) RawMask() string {
	if m.bits == 0 {
		return ""
	}
	return fmt.Sprintf(" & 0x%x", []byte(m.mask()))
}

func (m addressMask) mask() net.IPMask {
	return net.CIDRMask(m.bits, 8*[...]int{addr.IP4: net.IPv4len, addr.IP6: net.IPv6len}[m.Family])
}

// networkPart begins the names of maps of networks; "" for single addresses.
func networkPart(s farm.Specificity) string {
	if s.Bits() == 0 {
		return ""
	}
	return fmt.Sprintf("net%d-", s.Bits())
}

// holdsOthers reports whether the frontend is of a network, and another farm listens on a part of it by one of its
// protocols.
func (d frontend) holdsOthers(all []frontend) bool {
	if d.Specificity.Bits() == 0 {
		return false
	}
	network := d.Network()
	for i := range all { // without a copy of each
		o := &all[i]
		if o.farm != d.farm && o.Specificity < d.Specificity && network.Contains(o.Address) &&
			(o.Protocol == d.Protocol || o.Whole() || d.Whole()) {
			return true
		}
	}
	return false
}

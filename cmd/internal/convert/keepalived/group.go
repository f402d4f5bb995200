package keepalived

import (
	"net/netip"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert/ipvs"
	"farmc/compiler/addr"
)

// longestRange is how many addresses a range has that becomes one address after the other.
const longestRange = 256

// address reads "IP PORT", a range of addresses, or "fwmark N", and adds it to a service.
func (c *configuration) address(s *statement, from int, to *ipvs.Service, protocol string) {
	if s.word(from) == "fwmark" {
		to.Marks = append(to.Marks, ipvs.Option{At: s.at, Value: s.word(from + 1)})
		return
	}
	port := uint64(0)
	if text := s.word(from + 1); text != "" {
		var err error
		if port, err = strconv.ParseUint(text, 10, 16); err != nil {
			c.Lose(s.at, "the port is not a number, so the address is left out", "write a number from 1 to 65535")
			return
		}
	}
	networks := networksOf(s.word(from))
	if len(networks) == 0 {
		c.Lose(s.at, "the address is no IP address, range or network, so it is left out", "write one of these")
	}
	for _, n := range networks {
		a := ipvs.Address{At: s.at, IP: n.Addr(), Port: uint16(port), Protocol: protocol}
		if !n.IsSingleIP() {
			a.Bits = n.Bits()
		}
		to.Addresses = append(to.Addresses, a)
	}
}

// group reads the addresses of a group.
func (c *configuration) group(use *statement, name string, to *ipvs.Service, protocol string) {
	g := c.groups[name]
	if g == nil {
		c.Lose(use.at, "there is no virtual_server_group of this name", "write the addresses into the key listen")
		return
	}
	for _, s := range g.within {
		c.address(s, 0, to, protocol)
	}
}

// networksOf gives the networks of 192.0.2.1, 192.0.2.1-10, 192.0.2.250-192.0.3.9 or 192.0.2.8/29; nil for another
// text. A short range becomes its addresses, a long one as few networks as it takes.
func networksOf(text string) (all []netip.Prefix) {
	begin, end, isRange := strings.Cut(text, "-")
	n, err := addr.ParseNetwork(begin)
	if err == nil && isRange {
		n.Last = lastOf(n.First, end)
	}
	if err != nil || addr.FamilyOf(n.First) != addr.FamilyOf(n.Last) || n.Last.Less(n.First) {
		return nil
	}
	if isRange {
		if all = addressesOf(n); all != nil {
			return all
		}
	}
	family := addr.FamilyOf(n.First)
	n.Range().EachPrefix(family, func(first addr.Number, length int) {
		all = append(all, netip.PrefixFrom(first.Address(family), length))
	})
	return all
}

// addressesOf gives the addresses of a short range; nil for a long one.
func addressesOf(n addr.Network) (all []netip.Prefix) {
	for ip := n.First; ip.IsValid() && !n.Last.Less(ip); ip = ip.Next() {
		if all = append(all, netip.PrefixFrom(ip, ip.BitLen())); len(all) > longestRange {
			return nil
		}
	}
	return all
}

// lastOf reads the end of a range: an address, the last byte of one of IPv4, or the last 16 bits of one of IPv6.
func lastOf(first netip.Addr, end string) netip.Addr {
	if ip, err := netip.ParseAddr(end); err == nil && ip.Zone() == "" {
		return ip
	}
	bytes := first.AsSlice()
	base, size := 10, 8
	if first.Is6() {
		base, size = 16, 16
	}
	n, err := strconv.ParseUint(end, base, size)
	if err != nil {
		return netip.Addr{}
	}
	bytes[len(bytes)-1] = byte(n)
	if first.Is6() {
		bytes[len(bytes)-2] = byte(n >> 8)
	}
	ip, _ := netip.AddrFromSlice(bytes)
	return ip
}

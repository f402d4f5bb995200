package keepalived

import (
	"net/netip"
	"strconv"
	"strings"

	"farmc/cmd/internal/convert/ipvs"
)

// maxRange is how many addresses a range has at most.
const maxRange = 4096

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
	ips := addressesOf(s.word(from))
	if len(ips) == 0 {
		c.Lose(s.at, "the address is no IP address or range of addresses, so it is left out",
			"write an address, or a range of up to 4096 addresses")
	}
	for _, ip := range ips {
		to.Addresses = append(to.Addresses, ipvs.Address{At: s.at, IP: ip, Port: uint16(port), Protocol: protocol})
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

// addressesOf gives the addresses of 192.0.2.1, 192.0.2.1-10, 192.0.2.250-192.0.3.9 or 192.0.2.8/29; nil for another
// text, and for more than maxRange addresses.
func addressesOf(text string) []netip.Addr {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return addressesFrom(prefix.Masked().Addr(), prefix.Contains)
	}
	begin, end, isRange := strings.Cut(text, "-")
	first, err := netip.ParseAddr(begin)
	if err != nil || first.Zone() != "" {
		return nil
	}
	if !isRange {
		return []netip.Addr{first}
	}
	last := lastOf(first, end)
	if !last.IsValid() || last.Is4() != first.Is4() || last.Less(first) {
		return nil
	}
	return addressesFrom(first, func(ip netip.Addr) bool { return !last.Less(ip) })
}

// addressesFrom gives the addresses from one on, as long as they are in a set.
func addressesFrom(ip netip.Addr, in func(netip.Addr) bool) (all []netip.Addr) {
	for ; ip.IsValid() && in(ip); ip = ip.Next() {
		if all = append(all, ip); len(all) > maxRange {
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

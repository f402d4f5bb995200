package farm

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"farmc/compiler/addr"
)

// cutLength takes the length of a prefix out of an entry of listen: 28 of 198.51.100.0/28:443, 64 of
// [2001:db8::/64]:443; "" if there is none. A number after the slash is always a length.
func cutLength(text string) (without, length string, err error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		network, rest, closed := strings.Cut(inner, "]")
		if address, length, ok := strings.Cut(network, "/"); closed && ok {
			return "[" + address + "]" + rest, cmp.Or(length, "?"), nil
		}
		if _, _, ok := cutNumber(rest); ok {
			return "", "", fmt.Errorf("%q: the length of a prefix stands inside the brackets", text)
		}
	}
	address, rest, _ := strings.Cut(text, "/")
	length, rest, ok := cutNumber("/" + rest)
	switch {
	case !ok:
		return text, "", nil
	case strings.Count(address, ":") == 1 || strings.Contains(address, "]:"):
		return "", "", fmt.Errorf("%q: the number after the slash is the length of a prefix, which stands before the "+
			"ports", text)
	case strings.Contains(address, ":") && strings.HasPrefix(rest, ":"):
		return "", "", fmt.Errorf("%q: before ports an IPv6 network stands in brackets: [%s/%s]%s", text, address,
			length, rest)
	}
	return address + rest, length, nil
}

// cutNumber parts "/28:443" into 28 and :443. Without digits, or with other characters after them, there is no number.
func cutNumber(text string) (number, rest string, ok bool) {
	text, ok = strings.CutPrefix(text, "/")
	rest = strings.TrimLeft(text, "0123456789")
	number = text[:len(text)-len(rest)]
	return number, rest, ok && number != "" && (rest == "" || strings.ContainsAny(rest[:1], ":/"))
}

// notServed are addresses that no client asks for, or that are not of one machine.
var notServed = []struct {
	network netip.Prefix
	name    string
}{
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback addresses"},
	{netip.MustParsePrefix("::1/128"), "the loopback address"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast addresses"},
	{netip.MustParsePrefix("ff00::/8"), "multicast addresses"},
}

// parseListenNetwork reads a network. A network of one address is that address, with 0 bits.
func parseListenNetwork(address, length string) (netip.Addr, int, error) {
	a, err := addr.ParseAddress(address)
	if err != nil {
		return netip.Addr{}, 0, err
	}
	p, err := a.Prefix(atoi(length))
	switch {
	case err != nil:
		return a, 0, fmt.Errorf("%s/%s: the length of a prefix is 1 to %d", address, length, a.BitLen())
	case p.Bits() == 0 || a.IsUnspecified():
		return a, 0, fmt.Errorf("%s/%s is no network of services; every address of this machine is *", address, length)
	case p.Addr() != a:
		return a, 0, fmt.Errorf("%s/%s has bits beyond the prefix: the network is %s", address, length, p)
	case p.IsSingleIP():
		a, _, err := parseListenAddress(address)
		return a, 0, err
	}
	for _, not := range notServed {
		if p.Overlaps(not.network) {
			return a, 0, fmt.Errorf("%s holds %s (%s), on which no farm can listen", p, not.name, not.network)
		}
	}
	return a, p.Bits(), nil
}

// atoi gives the number; -1 if it is too long for one.
func atoi(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

// newNetwork gives the network with a prefix of some bits; with 0 bits the address as a network of one; not valid if
// the address is not.
func newNetwork(a netip.Addr, bits int) netip.Prefix {
	if bits == 0 {
		bits = a.BitLen()
	}
	return netip.PrefixFrom(a, bits)
}

// networkText writes a network, or the one address of it.
func networkText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// bracketed writes a network, or the one address of it, as it stands before ports.
func bracketed(p netip.Prefix) string {
	if p.Addr().Is6() {
		return "[" + networkText(p) + "]"
	}
	return networkText(p)
}

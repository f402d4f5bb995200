package nftlb

import (
	"net/netip"
	"slices"

	"farmc/compiler/addr"
)

// merged returns networks as the kernel keeps them: sorted, overlaps and neighbours joined. Words that are no network
// are left out.
func merged(words []string) (out []string) {
	var four, six []addr.Range
	for _, word := range words {
		n, err := addr.ParseNetwork(word)
		switch {
		case err != nil:
		case n.First.Is4():
			four = append(four, n.Range())
		default:
			six = append(six, n.Range())
		}
	}
	for _, r := range addr.Merge(four) {
		out = append(out, network(r, addr.IP4))
	}
	for _, r := range addr.Merge(six) {
		out = append(out, network(r, addr.IP6))
	}
	return slices.Clip(out)
}

// network writes a range as an address, a network, or first and last address.
func network(r addr.Range, f addr.Family) string {
	first, last := r.First.Address(f), r.Last.Address(f)
	if first == last {
		return first.String()
	}
	for bits := range first.BitLen() {
		if p := netip.PrefixFrom(first, bits); p.Masked() == p && addr.Last(p) == last {
			return p.String()
		}
	}
	return first.String() + "-" + last.String()
}

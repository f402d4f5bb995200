package nftlb

import (
	"net/netip"
	"slices"
	"strings"

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

// Edits returns the entries that a list has to lose and to gain so that it has the elements. An entry within an element
// stays as it is.
func Edits(text []byte, elements []string) (lose, gain []string) {
	var kept []string
	for _, entry := range entries(text) {
		if within(entry, elements) {
			kept = append(kept, entry)
		} else {
			lose = append(lose, entry)
		}
	}
	kept = merged(kept)
	for _, e := range elements {
		if !within(e, kept) {
			gain = append(gain, e)
		}
	}
	return lose, gain
}

// within reports whether a network is part of one of the elements, which are merged. A word that is no network is.
func within(word string, elements []string) bool {
	n, err := addr.ParseNetwork(word)
	if err != nil {
		return true
	}
	i, found := slices.BinarySearchFunc(elements, n, func(e string, n addr.Network) int {
		return networkOf(e).First.Compare(n.First)
	})
	if !found {
		i--
	}
	return i >= 0 && !networkOf(elements[i]).Last.Less(n.Last)
}

// networkOf returns the network of an element.
func networkOf(element string) addr.Network {
	n, _ := addr.ParseNetwork(element) // merged has written it
	return n
}

// entries returns the entries of a list.
func entries(text []byte) (out []string) {
	for line := range strings.Lines(string(text)) {
		entry, _, _ := strings.Cut(strings.ReplaceAll(line, ";", "#"), "#")
		if entry = strings.TrimSpace(entry); entry != "" {
			out = append(out, entry)
		}
	}
	return out
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

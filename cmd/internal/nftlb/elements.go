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
	all := networks(elements)
	for _, entry := range entries(text) {
		if place(entry, all) >= 0 || !isNetwork(entry) {
			kept = append(kept, entry)
		} else {
			lose = append(lose, entry)
		}
	}
	have := networks(merged(kept))
	for _, e := range elements {
		if place(e, have) < 0 {
			gain = append(gain, e)
		}
	}
	return lose, gain
}

// networks returns the networks of elements that are merged.
func networks(elements []string) []addr.Network {
	out := make([]addr.Network, len(elements))
	for i, e := range elements {
		out[i], _ = addr.ParseNetwork(e) // merged has written it
	}
	return out
}

// place returns the place of the network that a word is part of, in networks that are merged; -1 if there is none.
func place(word string, all []addr.Network) int {
	n, err := addr.ParseNetwork(word)
	if err != nil {
		return -1
	}
	i, found := slices.BinarySearchFunc(all, n.First, func(e addr.Network, first netip.Addr) int {
		return e.First.Compare(first)
	})
	if !found {
		i--
	}
	if i < 0 || all[i].Last.Less(n.Last) {
		return -1
	}
	return i
}

// isNetwork reports whether a word is an address, a network or a range.
func isNetwork(word string) bool {
	_, err := addr.ParseNetwork(word)
	return err == nil
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

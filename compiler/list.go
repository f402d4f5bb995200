package compiler

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/diag"
)

// A network is a run of addresses of one family, first and last included.
type network struct {
	first, last netip.Addr
}

func (n network) stretch() stretch { return stretch{numberOf(n.first), numberOf(n.last)} }

// An addressList is what a file of networks holds.
type addressList struct {
	name      string
	stretches [len(Families)][]stretch
	lines     int    // that name a network
	digest    uint64 // of the file

	parted [len(Families)][]prefixSet // what the stretches come to, once it was asked for
}

// sets are the list's networks of a family, in sets of few lengths. A list that stays is asked at each compile.
func (l *addressList) sets(f Family) []prefixSet {
	if l.parted[f] == nil {
		l.parted[f] = prefixSets(mergeStretches(l.stretches[f]), f)
		l.stretches[f] = nil
	}
	return l.parted[f]
}

// holds says whether the address is in one of the list's networks.
func (l *addressList) holds(a number, f Family) bool {
	return slices.ContainsFunc(l.sets(f), func(s prefixSet) bool { return s.holds(a, f) })
}

// mostListFaults is how many faults of a list are told one by one: a file that is no list at all has one in each line.
const mostListFaults = 20

// parseList reads a list of networks as block lists are published: one address, network or range a line;
// '#' and ';' begin comments.
func parseList(f file, faults *diag.Diagnostics) *addressList {
	l := &addressList{name: f.name, digest: hash64(string(f.text))}
	if len(f.text) == 0 {
		*faults = append(*faults, diag.Diagnostic{
			Place:   diag.Place{File: f.path},
			Message: "the file is empty",
			Hint:    "an editor may have been stopped in the middle; a list without networks has a comment in it",
		})
	}
	line, wrong := 0, 0
	for text := range bytes.Lines(f.text) {
		line++
		word := saidBy(text)
		if word == "" {
			continue
		}
		n, err := parseNetwork(word)
		if err == nil {
			l.lines++
			l.stretches[familyOf(n.first)] = append(l.stretches[familyOf(n.first)], n.stretch())
			continue
		}
		if wrong++; wrong <= mostListFaults {
			*faults = append(*faults, f.lineFault(line, text, err))
		}
	}
	if wrong > mostListFaults {
		*faults = append(*faults, f.listFault(diag.Place{File: f.path}, "", "%d further lines are wrong", wrong-mostListFaults))
	}
	return l
}

// saidBy is what a line says, without comment and blanks.
func saidBy(line []byte) string {
	if i := bytes.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	return string(bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\ufeff"))))
}

func (f file) lineFault(line int, text []byte, err error) diag.Diagnostic {
	raw := strings.TrimRight(string(text), "\r\n")
	said := strings.TrimPrefix(raw, "\ufeff")
	column := len([]rune(said)) - len([]rune(strings.TrimLeft(said, " \t"))) + 1
	return f.listFault(diag.Place{File: f.path, Line: line, Column: column, Text: raw}, networkRule, "%v", err)
}

// listFault is a fault, or a warning where lists are taken as they come.
func (f file) listFault(at diag.Place, hint, format string, args ...any) diag.Diagnostic {
	d := diag.Diagnostic{Place: at, Message: fmt.Sprintf(format, args...), Hint: hint}
	if f.lenient {
		d.Severity, d.Message = diag.Warning, d.Message+", and left out"
	}
	return d
}

const networkRule = "an address, a network or a range: 192.0.2.7, 192.0.2.0/24, 192.0.2.5-192.0.2.9"

// parseNetwork reads an address, a network (host bits are allowed, and mean the whole network) or a range.
func parseNetwork(word string) (network, error) {
	if first, last, isRange := strings.Cut(word, "-"); isRange {
		a, errA := parseAddress(strings.TrimSpace(first))
		b, errB := parseAddress(strings.TrimSpace(last))
		switch {
		case errA != nil:
			return network{}, errA
		case errB != nil:
			return network{}, errB
		case a.Is4() != b.Is4():
			return network{}, fmt.Errorf("%q joins two families", word)
		case b.Less(a):
			return network{}, fmt.Errorf("%q ends before it begins", word)
		}
		return network{a, b}, nil
	}
	if strings.Contains(word, "/") {
		p, err := netip.ParsePrefix(word)
		if err != nil || p.Addr().Is4In6() {
			return network{}, fmt.Errorf("%q is not a network", word)
		}
		return network{p.Masked().Addr(), lastOf(p)}, nil
	}
	a, err := parseAddress(word)
	return network{a, a}, err
}

// parseAddress reads an IPv4 or IPv6 address as nft takes it: no zone, and no IPv4 in the clothes of IPv6.
func parseAddress(word string) (netip.Addr, error) {
	a, err := netip.ParseAddr(word)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is not an address", word)
	case a.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q names a zone, which a rule can't hold", word)
	case a.Is4In6():
		return netip.Addr{}, fmt.Errorf("%q is an IPv4 address written as IPv6", word)
	}
	return a, nil
}

func lastOf(p netip.Prefix) netip.Addr {
	bits := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(bits)*8; i++ {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(bits)
	return last
}

package farm

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/slots"
)

// An AddressList has the networks of a list file.
type AddressList struct {
	Name   string
	ranges [len(addr.Families)][]addr.Range
	lines  int    // with a network
	count  int    // of networks: a range can come to many
	digest uint64 // of the file

	sets [len(addr.Families)][]addr.PrefixSet // the ranges as sets; nil until Sets is called
}

// Sets gives the list's networks of a family, in sets of few lengths. An unchanged list answers at each compile, so the
// sets are kept.
func (l *AddressList) Sets(f addr.Family) []addr.PrefixSet {
	if l.sets[f] == nil {
		l.sets[f] = addr.PrefixSets(addr.Merge(l.ranges[f]), f)
		l.ranges[f] = nil
	}
	return l.sets[f]
}

// holds reports whether the address is in one of the list's networks.
func (l *AddressList) holds(a addr.Number, f addr.Family) bool {
	return slices.ContainsFunc(l.Sets(f), func(s addr.PrefixSet) bool { return s.Holds(a, f) })
}

// mostListFaults is how many faults of a list are reported one by one: a file that is no list at all has one in each
// line.
const mostListFaults = 20

// parseList reads a list of networks as block lists are published: one address, network or range a line;
// '#' and ';' begin comments.
func parseList(f file, faults *diag.Diagnostics) *AddressList {
	l := &AddressList{Name: f.name, digest: slots.Hash64(string(f.text))}
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
		word := ListEntry(text)
		if word == "" {
			continue
		}
		n, err := addr.ParseNetwork(word)
		if err == nil {
			if l.add(n); l.count > maxListNetworks {
				*faults = append(*faults, f.tooMany(line, text))
				return l
			}
			continue
		}
		if wrong++; wrong <= mostListFaults {
			*faults = append(*faults, f.lineFault(line, text, err))
		}
		if wrong > maxWrongLines {
			*faults = append(*faults, diag.Diagnostic{Place: diag.Place{File: f.path},
				Message: fmt.Sprintf("more than %d lines are wrong", maxWrongLines)})
			return l
		}
	}
	if wrong > mostListFaults {
		*faults = append(*faults, f.listFault(diag.Place{File: f.path}, "", "%d further lines are wrong",
			wrong-mostListFaults))
	}
	if wrong > 0 && l.lines == 0 {
		*faults = append(*faults, diag.Diagnostic{
			Place:   diag.Place{File: f.path},
			Message: "none of the lines is an address, a network or a range",
			Hint:    "a download may have saved an error page; a list without networks has a comment in it",
		})
	}
	return l
}

// LineOf gives the first line of a list that has the address, from 1; 0 if none has.
func LineOf(list []byte, a netip.Addr) int {
	line := 0
	for text := range bytes.Lines(list) {
		line++
		if n, err := addr.ParseNetwork(ListEntry(text)); err == nil && n.Holds(a) {
			return line
		}
	}
	return 0
}

// maxListNetworks is the largest number of networks of a list. farmc needs 4 s and 0.6 GB for as many, nft 1.0.6 more.
const maxListNetworks = 1_000_000

func (l *AddressList) add(n addr.Network) {
	family := addr.FamilyOf(n.First)
	l.lines++
	l.count += n.Range().CountPrefixes(family)
	l.ranges[family] = append(l.ranges[family], n.Range())
}

func (f file) tooMany(line int, text []byte) diag.Diagnostic {
	raw := strings.TrimRight(string(text), "\r\n")
	return diag.Diagnostic{
		Place:   diag.Place{File: f.path, Line: line, Column: 1, Text: raw},
		Message: fmt.Sprintf("the lines up to here are more than %d networks", maxListNetworks),
		Hint:    "a range comes to up to 254 networks; a network such as 2001:db8::/32 is one",
	}
}

// maxWrongLines is the number of wrong lines after which the rest of a list is not read, in lenient directories, too.
const maxWrongLines = 100_000

// ListEntry gives a line of a list without its comment, surrounding blanks and a byte order mark: an entry, or "".
func ListEntry(line []byte) string {
	if i := bytes.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	return string(bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\ufeff"))))
}

func (f file) lineFault(line int, text []byte, err error) diag.Diagnostic {
	raw := strings.TrimRight(string(text), "\r\n")
	said := strings.TrimPrefix(raw, "\ufeff")
	column := len([]rune(said)) - len([]rune(strings.TrimLeft(said, " \t"))) + 1
	return f.listFault(diag.Place{File: f.path, Line: line, Column: column, Text: raw}, addr.NetworkSyntax, "%v", err)
}

// listFault is a fault, or a warning in lenient directories.
func (f file) listFault(at diag.Place, hint, format string, args ...any) diag.Diagnostic {
	d := diag.Diagnostic{Place: at, Message: diag.Shorten(fmt.Sprintf(format, args...)), Hint: hint}
	if f.lenient {
		d.Severity, d.Message = diag.Warning, d.Message+", and left out"
	}
	return d
}

package nft

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"farmc/compiler/diag"
)

// A part is an object of farmc's tables, or all rules of a chain, or all elements of a set.
type part struct {
	family uint8
	kind   string // table, chain, set, map, object or flow table; rule or element if it has many
	name   string // of the object, or kind and name of the object that holds the rules or elements
}

// table is the part for the table that holds the part.
func (p part) table() part { return part{p.family, "table", families[p.family] + " farmc"} }

// isMany tells whether the part has many objects.
func (p part) isMany() bool { return p.kind == "rule" || p.kind == "element" }

// String names the part in messages, such as "chain prerouting", "element of map services", or "set clients of table
// netdev farmc".
func (p part) String() string { return p.kind + p.rest() }

// rest is the name of a part without its kind.
func (p part) rest() string {
	rest := " " + diag.Printable(p.name)
	if p.isMany() {
		rest = " of" + rest
	}
	if p.family == unix.NFPROTO_NETDEV && p.kind != "table" {
		rest += " of " + p.table().String()
	}
	return rest
}

// families are the families of farmc's two tables.
var families = map[uint8]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_NETDEV: "netdev"}

// compareParts orders tables before other parts.
func compareParts(a, b part) int {
	if aTable, bTable := a == a.table(), b == b.table(); aTable != bTable {
		return map[bool]int{true: -1, false: 1}[aTable]
	}
	return strings.Compare(a.String(), b.String())
}

// change says that a part is gone, was added or was changed, or the number of its objects that are gone or were added.
func (p part) change(before, now fingerprint) string {
	article := map[string]string{"rule": "a ", "element": "an "}[p.kind]
	gone := before.size - now.size
	switch {
	case gone == 0:
		return article + p.String() + " was changed"
	case gone == 1:
		return article + p.String() + " is gone"
	case gone == -1:
		return article + p.String() + " was added"
	case gone > 1:
		return fmt.Sprintf("%d %ss%s are gone", gone, p.kind, p.rest())
	}
	return fmt.Sprintf("%d %ss%s were added", -gone, p.kind, p.rest())
}

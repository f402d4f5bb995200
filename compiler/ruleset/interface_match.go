package ruleset

import (
	"slices"
	"strconv"
	"strings"
)

// only has rules compare the interface that a packet came in by, and gives the interfaces. Several interfaces are a set
// of the table, shared by all farms that name the same ones: sets in rules, without a name, take the kernel longest, as
// it looks for each among all sets that it is loading.
func (l *linker) only(interfaces []string) []string {
	if len(interfaces) > 1 {
		o := newSet(interfaceSetName(interfaces), sharedSection, "interface-set")
		for _, name := range sortedNames(interfaces) {
			o.elements.add(element{key: strconv.Quote(name)})
		}
		o.data = o
		l.rules.add(o)
	}
	return interfaces
}

func sortedNames(names []string) []string { return slices.Sorted(slices.Values(names)) }

func interfaceSetName(interfaces []string) string {
	return "interfaces/" + shortened(sortedNames(interfaces), maxInterfacesName)
}

// interfaceMatch is the set that a rule compares the interface of a packet with.
func interfaceMatch(interfaces []string) string {
	if len(interfaces) == 1 {
		return "{ " + quotedList(interfaces) + " }" // nft makes no set of it
	}
	return "@" + interfaceSetName(interfaces)
}

// quotedList writes names of interfaces. They were validated, so nothing in them needs an escape.
func quotedList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return strings.Join(out, ", ")
}

package compiler

import (
	"cmp"
	"net"
	"regexp"
	"slices"
)

// interfaceNaming is what Linux and nft take for the name of a network interface (IFNAMSIZ, dev_valid_name).
var interfaceNaming = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$`)

func readInterfaces(t *table, key string) []string {
	var out []string
	for _, w := range t.words(key) {
		switch {
		case !interfaceNaming.MatchString(w.text):
			t.fault(w.place, "", "%s: %q can't be the name of an interface", key, w.text)
		case slices.Contains(out, w.text):
			t.fault(w.place, "", "%s: %s stands here twice", key, w.text)
		default:
			out = append(out, w.text)
		}
	}
	return out
}

func readInterface(t *table) string {
	name := t.text("interface")
	if name != "" && !interfaceNaming.MatchString(name) {
		t.fault(t.at("interface"), "", "interface: %q can't be the name of an interface", name)
	}
	return name
}

func readMAC(t *table) string {
	text := t.text("mac")
	if text == "" {
		return ""
	}
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		t.fault(t.at("mac"), `mac = "02:00:00:00:00:01"`, "mac: %q is not an Ethernet address", text)
	}
	return mac.String()
}

// An interfaceSet is a set of interfaces that packets of farms come in by, for rules of all farms that name the same ones.
type interfaceSet struct {
	Name       string
	Interfaces []string
}

func newInterfaceSet(interfaces []string) interfaceSet {
	s := interfaceSet{Interfaces: slices.Sorted(slices.Values(interfaces))}
	s.Name = "interfaces/" + shortened(s.Interfaces, longestInterfaces)
	return s
}

// Room is the size of the set's hash table.
func (s interfaceSet) Room() int { return roomFor(len(s.Interfaces)) }

// interfaceSets gives the sets that the ruleset's rules name. One interface alone needs none.
func (r *ruleset) interfaceSets() []interfaceSet {
	var only [][]string
	for _, c := range r.choices {
		only = append(only, c.Only)
	}
	for _, g := range r.guards {
		only = append(only, g.Only)
	}
	for _, c := range r.limiters {
		only = append(only, c.Only)
	}
	for _, c := range r.logs {
		only = append(only, c.Only)
	}
	for _, c := range r.invalidChains {
		only = append(only, c.Only)
	}
	for _, c := range r.queues {
		only = append(only, c.Only)
	}
	var out []interfaceSet
	for _, interfaces := range only {
		if len(interfaces) > 1 {
			out = append(out, newInterfaceSet(interfaces))
		}
	}
	slices.SortFunc(out, func(a, b interfaceSet) int { return cmp.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b interfaceSet) bool { return a.Name == b.Name })
}

// interfaceMatch is what a rule compares the interface of a packet with.
func interfaceMatch(interfaces []string) string {
	if len(interfaces) == 1 {
		return "{ " + quotedList(interfaces) + " }" // nft makes no set of it
	}
	return "@" + newInterfaceSet(interfaces).Name
}

package compiler

import (
	"fmt"
	"slices"
)

// A Mark is what is set on a connection (ct mark), within a mask; the zero Mark sets nothing. No other bit is touched.
type Mark struct {
	Value, Mask uint32
}

// All says whether the mask holds all bits.
func (m Mark) All() bool { return m.Mask == 1<<32-1 }

// Others is the mask of the bits that are left alone.
func (m Mark) Others() uint32 { return ^m.Mask }

// String writes the mark as a farm does.
func (m Mark) String() string { return fmt.Sprintf("%#x/%#x", m.Value, m.Mask) }

// name is the mark as part of a chain's name.
func (m Mark) name() string { return fmt.Sprintf("mark-%#x-%#x", m.Value, m.Mask) }

// A markChain sets the mark of backends: one for all backends of all farms with that mark.
type markChain struct {
	Name string
	Mark Mark
}

// A markedChain is where a farm's connections pass once their backend is chosen, if its backends have marks.
type markedChain struct {
	Name, Map string
	Family    Family
	Elements  []mapElement
}

// mark leads connections whose backend is chosen to the chain that sets its mark.
func (l *linker) mark(doors []door) {
	l.leadSome(&l.rules.marking, "mark-", doors, func(d door) string {
		if !d.farm.marksBackends(d.family) {
			return ""
		}
		l.rules.marksLocal = l.rules.marksLocal || d.farm.LocalClients
		return l.marked(d.farm, d.family)
	})
}

// marksBackends says whether some backend of the family has a mark.
func (f *Farm) marksBackends(family Family) bool {
	return slices.ContainsFunc(f.serving(family), func(b Backend) bool { return b.Mark != Mark{} })
}

// marked gives the chain that sets the marks of the farm's backends.
func (l *linker) marked(f *Farm, family Family) string {
	c := &markedChain{Name: ownName(f, "marked-"+family.Suffix()), Map: ownName(f, "marks-"+family.Suffix()), Family: family}
	if slices.ContainsFunc(l.rules.marked, func(o *markedChain) bool { return o.Name == c.Name }) {
		return c.Name
	}
	for _, b := range f.serving(family) {
		if b.Mark != (Mark{}) {
			c.Elements = append(c.Elements, mapElement{b.Address[family].String(), "goto " + l.markChain(b.Mark), b.origin(f), false})
		}
	}
	c.Elements = uniqueKeys(c.Elements)
	l.rules.marked = append(l.rules.marked, c)
	return c.Name
}

// markChain gives the chain that sets a mark.
func (l *linker) markChain(m Mark) string {
	c := markChain{m.name(), m}
	if !slices.Contains(l.rules.marks, c) {
		l.rules.marks = append(l.rules.marks, c)
	}
	return c.Name
}

// uniqueKeys leaves one element for each key: backends of one address, on different ports, have the same.
func uniqueKeys(elements []mapElement) []mapElement {
	var out []mapElement
	for _, e := range elements {
		if !slices.ContainsFunc(out, func(o mapElement) bool { return o.key == e.key }) {
			out = append(out, e)
		}
	}
	return out
}

// A helper is a connection tracking helper for one protocol: it reads what a connection says of others to come.
type helper struct {
	Type     string
	Protocol Protocol
	Origin   *Origin // the first farm that asks for it
}

// Name is that of the helper's object and chain.
func (h helper) Name() string { return h.Type + "-" + string(h.Protocol) }

// helperProtocols are those that each of the kernel's helpers can read.
var helperProtocols = map[string][]Protocol{"ftp": {TCP}, "sip": {UDP, TCP}, "tftp": {UDP}, "pptp": {TCP}, "snmp": {UDP}}

// helpersOfIP4 are those that know no IPv6 (net/netfilter/nf_conntrack_pptp.c, nf_conntrack_snmp.c).
var helpersOfIP4 = map[string]bool{"pptp": true, "snmp": true}

// help leads the doors of farms with a helper to the chain that sets it, before their backend is chosen.
func (l *linker) help(doors []door) {
	l.leadSome(&l.rules.helped, "helper-", doors, func(d door) string {
		if !slices.Contains(helperProtocols[d.farm.Helper], d.protocol) {
			return ""
		}
		h := helper{d.farm.Helper, d.protocol, d.farm.origin("helper")}
		if !slices.ContainsFunc(l.rules.helpers, func(o helper) bool { return o.Name() == h.Name() }) {
			l.rules.helpers = append(l.rules.helpers, h)
		}
		return "helper-" + h.Name()
	})
}

// A flowTable is what established flows take a short cut by, between its devices: one for all farms, as the kernel
// wants no device in two.
type flowTable struct {
	Devices []string
	Origin  *Origin // the first farm that asks for it
}

// offload leads the established connections of farms to the flow table.
func (l *linker) offload(doors []door) {
	l.leadSome(&l.rules.offloaded, "offload-", doors, func(d door) string {
		if len(d.farm.FlowOffload) == 0 {
			return ""
		}
		if l.rules.flows == nil {
			l.rules.flows = &flowTable{Origin: d.farm.origin("flow-offload")}
		}
		devices := append(l.rules.flows.Devices, d.farm.FlowOffload...)
		slices.Sort(devices)
		l.rules.flows.Devices = slices.Compact(devices)
		return "flow-offload"
	})
}

package compiler

import (
	"slices"
)

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

package farm

import "slices"

// helperProtocols are the protocols that each of the kernel's helpers reads.
var helperProtocols = map[string][]Protocol{"ftp": {TCP}, "sip": {UDP, TCP}, "tftp": {UDP}, "pptp": {TCP},
	"snmp": {UDP}}

// helpersOfIP4 are the helpers without IPv6 (net/netfilter/nf_conntrack_pptp.c, nf_conntrack_snmp.c).
var helpersOfIP4 = map[string]bool{"pptp": true, "snmp": true}

// HelperReads reports whether the farm's helper reads connections of the protocol.
func (f *Farm) HelperReads(p Protocol) bool { return slices.Contains(helperProtocols[f.Helper], p) }

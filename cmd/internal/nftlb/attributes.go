package nftlb

import "strings"

// An attribute is a key of an object: how it is read, its value in a new object, and when it is listed.
type attribute struct {
	key    string
	read   reader
	preset string
	listed rule
}

// A rule says when an attribute is listed.
type rule int

const (
	always    rule = iota
	never          // taken, and in no listing
	changed        // other than the preset
	given          // once it has a value
	stateless      // in farms of mode stlsdnat
	ofAddress      // the value of the first address of the farm, if there is one
)

// farmAttributes are the attributes of a farm, in the order of listings.
func farmAttributes() []attribute {
	return []attribute{
		{"family", anyText, "", ofAddress},
		{"virtual-addr", anyText, "", ofAddress},
		{"virtual-ports", anyText, "", ofAddress},
		{"source-addr", anyText, "", always},
		{"mode", oneOf("snat", "dnat", "dsr", "stlsdnat", "local"), "snat", always},
		{"responsettl", number(0), "60", stateless},
		{"protocol", anyText, "", ofAddress},
		{"scheduler", oneOf("rr", "weight", "hash", "symhash"), "rr", always},
		{"sched-param", someClientWords, "none", always},
		{"persistence", someClientWords, "none", always},
		{"persist-ttl", number(0), "60", always},
		{"helper", oneOf("none", "ftp", "pptp", "sip", "snmp", "tftp"), "none", always},
		{"log", someLogWords, "none", always},
		{"log-prefix", anyText, "TYPE-FNAME ", changed},
		{"log-rtlimit", rate, noRate, always},
		{"mark", aMark, "0x0", always},
		{"priority", ignored, "1", always},
		{"state", oneOf("up", "down", "off", "config_error"), "up", always},
		{"limits-ttl", number(0), "120", always},
		{"new-rtlimit", rate, noRate, always},
		{"new-rtlimit-burst", number(0), "0", always},
		{"new-rtlimit-log-prefix", anyText, "KNAME-FNAME ", changed},
		{"rst-rtlimit", rate, noRate, always},
		{"rst-rtlimit-burst", number(0), "0", always},
		{"rst-rtlimit-log-prefix", anyText, "KNAME-FNAME ", changed},
		{"est-connlimit", number(0), "0", always},
		{"est-connlimit-log-prefix", anyText, "KNAME-FNAME ", changed},
		{"tcp-strict", onOff, "off", always},
		{"tcp-strict-log-prefix", anyText, "KNAME-FNAME ", changed},
		{"queue", number(-1), "-1", always},
		{"verdict", verdict, "log drop accept", always},
		{"flow-offload", onOff, "off", changed},
		{"intra-connect", onOff, "off", changed},
		{"newname", someText, "", never},
		{"iface", anyText, "", never},
		{"oface", anyText, "", never},
		{"ether-addr", anyText, "", never},
		{"fqdn", unusable(3), "", never},
		{"iether-addr", unusable(8), "", never},
		{"oether-addr", unusable(9), "", never},
		{"action", unsupported, "", never},
	}
}

// backendAttributes are the attributes of a backend.
func backendAttributes() []attribute {
	return []attribute{
		{"ip-addr", someText, "", given},
		{"port", onePort, "", always},
		{"source-addr", anyText, "", given},
		{"weight", number(1), "1", always},
		{"priority", number(1), "1", always},
		{"mark", aMark, "", always},
		{"est-connlimit", number(0), "0", always},
		{"est-connlimit-log-prefix", anyText, "KNAME-FNAME-BNAME ", changed},
		{"state", backendState, "up", always},
		{"ether-addr", anyText, "", never},
		{"newname", someText, "", never},
		{"iface", anyText, "", never},
		{"oface", anyText, "", never},
		{"action", ignored, "", never},
	}
}

// addressAttributes are the attributes of an address. The ones after protocol are in no listing of a farm.
func addressAttributes() []attribute {
	return []attribute{
		{"family", oneOf("ipv4", "ipv6", "inet"), "ipv4", always},
		{"ip-addr", anyText, "", always},
		{"ports", somePorts, "", always},
		{"protocol", oneOf("tcp", "udp", "sctp", "all"), "tcp", always},
		{"verdict", verdict, "log drop accept", always},
		{"log-prefix", anyText, "TYPE-ANAME ", changed},
		{"log-rtlimit", ignored, noRate, always},
		{"iface", anyText, "", never},
		{"ether-addr", anyText, "", never},
	}
}

// policyAttributes are the attributes of a policy.
func policyAttributes() []attribute {
	return []attribute{
		{"family", oneOf("ipv4", "ipv6", "inet"), "ipv4", always},
		{"type", oneOf("blacklist", "whitelist"), "blacklist", always},
		{"route", ignored, "in", always},
		{"timeout", number(0), "0", always},
		{"log-prefix", anyText, "KNAME-TYPE-PNAME-FNAME ", changed},
		{"priority", ignored, "", never},
		{"action", ignored, "", never},
	}
}

// A kind is the attributes of the objects of one sort.
type kind struct {
	attributes []attribute
	byKey      map[string]attribute
}

func kindOf(attributes []attribute) kind {
	k := kind{attributes, map[string]attribute{}}
	for _, a := range attributes {
		k.byKey[a.key] = a
	}
	return k
}

// The kinds are read only.
var (
	farmKind    = kindOf(farmAttributes())
	backendKind = kindOf(backendAttributes())
	addressKind = kindOf(addressAttributes())
	policyKind  = kindOf(policyAttributes())
)

// presets returns the values of a new object.
func (k kind) presets() Values {
	v := Values{}
	for _, a := range k.attributes {
		if a.preset != "" || a.listed == always {
			v[a.key] = a.preset
		}
	}
	return v
}

// addressKeys are the names that attributes of an address have in a farm.
func addressKey(key string) (string, bool) {
	switch key {
	case "virtual-addr":
		return "ip-addr", true
	case "virtual-ports":
		return "ports", true
	case "family", "protocol", "iface", "ether-addr":
		return key, true
	}
	return "", false
}

// isReadOnly reports whether a key is in listings alone.
func isReadOnly(key string) bool { return key == "used" || strings.HasPrefix(key, "counter-") }

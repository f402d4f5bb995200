package nftlb

import (
	"slices"
	"strings"
)

// setListen has one entry for each address.
func (t *translation) setListen() {
	var all []any
	for _, name := range t.farm.Addresses {
		a := t.Address(name)
		if !a.listens() || t.bare && !a.Values.listens() {
			continue
		}
		if a.Values["family"] == "inet" {
			t.note("family", "inet has no rule in nftlb; the address decides", "")
		}
		if a.isAsWritten() && !t.bare {
			all = append(all, a.written)
		} else {
			all = append(all, a.Values.host()+":"+a.Values.portList()+a.Values.protocols())
		}
	}
	switch len(all) {
	case 0:
	case 1:
		t.out["listen"] = all[0]
	default:
		t.out["listen"] = all
	}
}

// listens reports whether an address is complete. One without address and ports is on its way, or a key such as family
// has made it; each port of each address of a machine has to be asked for.
func (v Values) listens() bool { return v["ip-addr"] != "" || v["ports"] != "" }

// listens reports whether an address is complete.
func (a *Address) listens() bool { return a.Values.listens() || a.isAsWritten() }

// isAsWritten reports whether an address has the attributes of its entry in a document. The entry can say more than
// attributes do, such as which protocols are "all".
func (a *Address) isAsWritten() bool {
	return a.written != "" && a.sameListener(&Address{Values: listener(a.written)})
}

// sameListener reports whether another address takes the same packets, as far as attributes say.
func (a *Address) sameListener(b *Address) bool {
	return !slices.ContainsFunc([]string{"family", "ip-addr", "ports", "protocol"}, func(key string) bool {
		return a.Values[key] != b.Values[key]
	})
}

// listens reports whether a farm is complete.
func (s *State) listens(f *Farm) bool {
	return slices.ContainsFunc(f.Addresses, func(name string) bool { return s.Address(name).listens() })
}

// host is the address, in brackets if it is IPv6. Without one it is each address of the family.
func (v Values) host() string {
	text := v["ip-addr"]
	switch {
	case text == "" && v["family"] == "ipv6":
		return "[::]"
	case text == "":
		return "0.0.0.0"
	case strings.Contains(text, ":"):
		return "[" + text + "]"
	}
	return text
}

func (v Values) portList() string {
	if v["ports"] == "" {
		return "1-65535"
	}
	return strings.ReplaceAll(v["ports"], " ", "")
}

func (v Values) protocols() string {
	switch v["protocol"] {
	case "tcp":
		return ""
	case "all":
		return "/tcp,udp,sctp"
	}
	return "/" + v["protocol"]
}

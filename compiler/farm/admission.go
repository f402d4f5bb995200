package farm

import (
	"net/netip"
	"strings"

	"farmc/compiler/addr"
)

// An Admission is how the lists of [access] judge a client.
type Admission struct {
	Denied bool
	Free   bool   // no limit holds for the client
	Key    string // of [access], which decides: allow, deny, exempt; "": no list has the client
	Word   string // of the key that has the client: "198.51.100.0/24", "@bad", "any"
}

// Admit judges the first packet of a client, as the rules do.
func (f *Farm) Admit(client netip.Addr) Admission {
	a := f.Access
	deny := Admission{Denied: true, Key: "deny", Word: a.Deny.Named().wordOf(client)}
	if deny.Word != "" && a.DenyFirst {
		return deny
	}
	if word := a.Exempt.wordOf(client); word != "" {
		return Admission{Free: true, Key: "exempt", Word: word}
	}
	if word := a.Allow.wordOf(client); word != "" {
		return Admission{Free: a.Exempt.Empty(), Key: "allow", Word: word}
	}
	if deny.Word == "" && a.Deny.Any {
		deny.Word = "any"
	}
	if deny.Word != "" {
		return deny
	}
	return Admission{}
}

// wordOf gives the first word of the list that has an address; "" if none has.
func (p ClientList) wordOf(a netip.Addr) string {
	for _, word := range p.words {
		if name, isList := strings.CutPrefix(word, "@"); isList {
			if p.listHolds(name, a) {
				return word
			}
		} else if n, err := addr.ParseNetwork(word); err == nil && n.Holds(a) {
			return word
		}
	}
	return ""
}

func (p ClientList) listHolds(name string, a netip.Addr) bool {
	for _, l := range p.Lists {
		if l.Name == name {
			return l.holds(addr.NumberOf(a), addr.FamilyOf(a))
		}
	}
	return false
}

package ruleset

import (
	"net/netip"
	"strings"

	"farmc/compiler/addr"
)

// In mode dnat a backend answers a client on its own link directly, with an address that the client did not ask. So
// connections from networks of backends leave from an address of this machine, as in mode snat. All other clients keep
// their address.

// A hairpin is the chain of farms with the same networks.
type hairpin struct {
	Family   addr.Family
	Networks []netip.Prefix
	Source   string // the chain that chooses the source
}

// hairpinChain gives the chain for a farm in mode dnat; "" if it has no networks of the family.
func (l *linker) hairpinChain(d frontend) string {
	networks := d.farm.HairpinOf(d.Family)
	if len(networks) == 0 {
		return ""
	}
	words := make([]string, len(networks))
	for i, p := range networks {
		words[i] = strings.ReplaceAll(p.String(), ":", ".") // a colon would end the name
	}
	name := "hairpin/" + shortened(words, maxPartName)
	l.rules.add(newChain(name, sourceNATSection, "hairpin").with(hairpin{d.Family, networks, l.sourceChain(d, false)}))
	return name
}

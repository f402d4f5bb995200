package ruleset

import (
	"fmt"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Connections that backends of farms with outgoing open to other machines leave with the address of the service. All
// farms share the maps: from a backend, its protocol and the port that it connects to, or from the backend alone.

// outgoingChain is the name of the chain for connections that no farm has translated.
const outgoingChain = "outgoing"

// An outgoingRules is that chain.
type outgoingRules struct {
	Marks      []*outgoingMap // asked for connections of this machine alone
	Ports, All []*outgoingMap
}

// An outgoingMap is a map to the addresses of services.
type outgoingMap struct {
	*object
	Family addr.Family
}

// outgoing adds the backends of farms to the maps, whatever their state: a backend that drains still sends mail.
func (l *linker) outgoing(tracked []frontend) {
	done := map[farmFamily]bool{}
	for _, d := range tracked {
		of := farmFamily{d.farm, d.Family}
		if len(d.farm.Outgoing) == 0 || done[of] {
			continue
		}
		done[of] = true
		rules := l.outgoingRules()
		for _, b := range d.farm.WithFamily(d.Family) {
			for _, o := range d.farm.Outgoing {
				l.addOutgoing(rules, d, b, o)
			}
		}
	}
}

// outgoingRules gives the chain, which the postrouting chain leads to from then on.
func (l *linker) outgoingRules() *outgoingRules {
	l.hook(postroutingHook).Outgoing = outgoingChain
	o := newChain(outgoingChain, sourceNATSection, outgoingChain)
	return obtain(&l.rules, o, func() *outgoingRules { return &outgoingRules{} })
}

// addOutgoing adds connections of a backend.
func (l *linker) addOutgoing(rules *outgoingRules, d frontend, b farm.Backend, o farm.Outgoing) {
	maps, name, key := &rules.All, "outgoing-", b.Address[d.Family].String()
	if o != (farm.Outgoing{}) {
		maps, name, key = &rules.Ports, "outgoing-ports-", fmt.Sprintf("%s . %s . %d", o.Protocol, key, o.Port)
	}
	m := newMap(name+d.Family.Suffix(), sourceNATSection, "outgoing-sources")
	if o != (farm.Outgoing{}) {
		m.template = "outgoing-sources-by-port"
	}
	to := obtain(&l.rules, m, func() *outgoingMap {
		*maps = append(*maps, &outgoingMap{m, d.Family})
		return (*maps)[len(*maps)-1]
	})
	if service, ok := d.farm.ServiceAddress(d.Family); ok {
		to.elements.addOnce(d.farm.backendElement(b, key, service.String()))
	}
}

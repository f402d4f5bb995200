package ruleset

import (
	"fmt"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A datagram to a service with a forged source makes two services answer each other, for ever if they answer
// everything: a backend of the farm and another one, or a backend and a service of this machine. So the first datagram
// of a flow in modes snat and dnat, and each datagram at the ingress of interfaces, is dropped if it comes from
// outside with the address and port of a backend of the same farm, or, at the ingress, with an address of this machine.
// Source ports from 32768 on are of clients. Only frontends of UDP with an exact port lead here: of a range or a whole
// address it is not known on which ports the backends serve, and they may be clients from any port. Backends may also
// be clients of other farms from the ports that they serve on, as servers of SIP and NTP are. The picks of modes snat
// and dnat themselves drop connections from addresses of this machine, by any protocol.

// A forgedChain drops forged datagrams: of one family, or at the ingress of interfaces.
type forgedChain struct {
	Services []*forgedSet // addresses of frontends: datagrams from addresses of this machine to them are forged
	Any      bool         // there are frontends on every address of this machine
	Loops    []*forgedSet // frontends with the sources that their backends answer from
	place    mapPlace
}

// A forgedSet is a set that a forgedChain looks up, of one family and length of a prefix.
type forgedSet struct {
	*object
	addressMask
}

// A forgedFirst stands before a chain that picks a backend.
type forgedFirst struct{ Forged, Next string }

// forgedFirst gives the chain that drops forged datagrams before another chain, and adds the frontend's backends.
func (l *linker) forgedFirst(d frontend, next string) string {
	if d.Protocol != farm.UDP || d.Specificity.Kind() != farm.ExactPort || next == noBackend {
		return next
	}
	o := newChain("forged-"+d.Family.Suffix(), natPickSection, "forged")
	c := obtain(&l.rules, o, func() *forgedChain {
		return &forgedChain{place: mapPlace{table: Inet, section: natPickSection}}
	})
	l.addLoops(c, d)
	name := "forged-first/" + next
	l.rules.add(newChain(name, natPickSection, "forged-first").with(forgedFirst{o.Name, next}))
	return name
}

// takesForged reports whether the kernel lets connections through that come from outside with an address of this
// machine. It drops them in IPv4.
func (d frontend) takesForged() bool { return d.Family == addr.IP6 }

// forgedAt adds the chain of an ingress that takes datagrams.
func (l *linker) forgedAt(in *ingress, served []frontend) {
	if !in.OfDatagrams || in.prerouting() {
		return
	}
	c := &forgedChain{place: in.place("")}
	for _, d := range served {
		if !in.takes(d.farm) || d.Protocol != farm.UDP && !d.Whole() {
			continue
		}
		l.addService(c, d)
		if d.Specificity.Kind() == farm.ExactPort {
			l.addLoops(c, d)
		}
	}
	l.rules.add(newChain(in.Forged(), c.place.section, "forged").at(c.place.table).with(c))
}

// Forged is the name of the chain that drops forged datagrams.
func (in *ingress) Forged() string { return in.Name + "/forged" }

// addService adds the address of a frontend. Other datagrams from addresses of this machine pass: in mode dsr replies
// of backends have them, and can come in by the same interface as requests.
func (l *linker) addService(c *forgedChain, d frontend) {
	if !d.Address.IsValid() {
		c.Any = true
		return
	}
	set := l.forgedSet(c, d, "datagrams", &c.Services)
	set.elements.addOnce(element{key: d.Address.String(), origin: d.origin()})
}

// addLoops adds the backends of a frontend with an exact port.
func (l *linker) addLoops(c *forgedChain, d frontend) {
	set := l.forgedSet(c, d, "loops", &c.Loops)
	for _, r := range d.Replies() {
		key := fmt.Sprintf("%s . %d . %s . %d", d.Address, d.Ports.First, r.Address, r.Ports.First)
		set.elements.addOnce(d.farm.backendElement(*r.Backend, key, ""))
	}
}

// forgedSet gives the set of the frontend's family, and of the length of its network.
func (l *linker) forgedSet(c *forgedChain, d frontend, kind string, sets *[]*forgedSet) *forgedSet {
	name := c.place.prefix + networkPart(d.Specificity) + kind + "-" + d.Family.Suffix()
	o := newSet(name, c.place.section, "forged-"+kind).at(c.place.table)
	return obtain(&l.rules, o, func() *forgedSet {
		set := &forgedSet{o, d.addressMask()}
		*sets = append(*sets, set)
		return set
	})
}

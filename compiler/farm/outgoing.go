package farm

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// An Outgoing is connections that backends open, which leave with the service's address: to one port, or, as the zero
// Outgoing, all.
type Outgoing struct {
	Protocol Protocol
	Port     uint16
}

// String writes the connections as a farm does.
func (o Outgoing) String() string {
	if o == (Outgoing{}) {
		return "all"
	}
	return fmt.Sprintf("%d/%s", o.Port, o.Protocol)
}

// maxOutgoing is the largest number of ports in outgoing: each backend has an element for each of them.
const maxOutgoing = 64

var outgoingKey = wordsKey[Outgoing]{
	name: "outgoing", things: "ports", most: maxOutgoing,
	hint:  `outgoing = "all", or ports that backends connect to: ["25", "5060/udp"]`,
	parse: parseOutgoing,
	same:  func(a, b Outgoing) bool { return a == b }, twice: "stands here twice",
	order: func(a, b Outgoing) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	},
}

func readOutgoing(t *toml.Table, f *Farm) {
	f.Outgoing = outgoingKey.read(t)
	if len(f.Outgoing) > 1 && slices.Contains(f.Outgoing, Outgoing{}) {
		t.Fault(t.At("outgoing"), "", "outgoing: all holds every port, so the ports have no effect")
	}
}

// parseOutgoing reads "all", or a port with a protocol, by default tcp.
func parseOutgoing(text string) (Outgoing, error) {
	if text == "all" {
		return Outgoing{}, nil
	}
	number, protocol, named := strings.Cut(text, "/")
	if !named {
		protocol = string(TCP)
	}
	port, err := parsePort(number)
	if err == nil && !slices.Contains([]Protocol{TCP, UDP, SCTP}, Protocol(protocol)) {
		err = fmt.Errorf("%q is not a protocol with ports: tcp, udp, sctp", protocol)
	}
	return Outgoing{Protocol(protocol), port}, err
}

func (f *Farm) outgoings() string { return listed(f.Outgoing) }

// ServiceAddress gives the address of the family that the farm listens on; ok is false if there are several, as in a
// network, or none.
func (f *Farm) ServiceAddress(family addr.Family) (a netip.Addr, ok bool) {
	for _, l := range f.Listen {
		if l.Bits > 0 && addr.FamilyOf(l.Address) == family {
			return netip.Addr{}, false
		}
		if !l.Address.IsValid() || addr.FamilyOf(l.Address) != family || l.Address == a {
			continue
		}
		if a.IsValid() {
			return netip.Addr{}, false
		}
		a = l.Address
	}
	return a, a.IsValid()
}

// validateOutgoing refuses connections without an address to leave from.
func validateOutgoing(t *toml.Table, f *Farm) {
	if len(f.Outgoing) == 0 {
		return
	}
	for _, l := range f.Listen {
		if !l.Address.IsValid() {
			t.FaultWithNote(t.At("outgoing"), diag.Note{Place: l.Place, Message: "here"},
				"outgoing: the farm listens on every address, and connections of backends leave from one")
			return
		}
		if _, one := f.ServiceAddress(l.Families[0]); !one {
			t.FaultWithNote(t.At("outgoing"), diag.Note{Place: l.Place, Message: "here"},
				"outgoing: the farm listens on several addresses of %s, and connections of backends leave from one",
				l.Families[0])
			return
		}
	}
}

// OutgoingConflicts reports backends whose connections would leave from the addresses of two farms.
func OutgoingConflicts(farms []*Farm, faults *diag.Diagnostics) {
	c := outgoingConflicts{owners: map[outgoingSocket]*Farm{}, faults: faults}
	for _, f := range farms {
		if len(f.Outgoing) > 0 && !f.Down {
			c.add(f)
		}
	}
}

// An outgoingSocket is connections of a backend.
type outgoingSocket struct {
	Outgoing
	backend netip.Addr
}

type outgoingConflicts struct {
	owners map[outgoingSocket]*Farm
	faults *diag.Diagnostics
}

func (c *outgoingConflicts) add(f *Farm) {
	for _, family := range addr.Families {
		service, ok := f.ServiceAddress(family)
		if !ok {
			continue
		}
		for _, b := range f.WithFamily(family) {
			for _, o := range f.Outgoing {
				at := outgoingSocket{o, b.Address[family]}
				if c.owners[at] == nil {
					c.owners[at] = f
				} else if theirs, _ := c.owners[at].ServiceAddress(family); theirs != service {
					c.report(f, at)
				}
			}
		}
	}
}

func (c *outgoingConflicts) report(f *Farm, at outgoingSocket) {
	other := c.owners[at]
	*c.faults = append(*c.faults, diag.Diagnostic{Farm: f.Name, Place: f.at("outgoing"),
		Message: fmt.Sprintf("outgoing: connections of %s (%s) leave with the address of farm %s already", at.backend,
			at.Outgoing, other.Name),
		Hint: "name different ports, or let one farm of the two be without outgoing",
		Also: []diag.Note{{Place: other.at("outgoing"), Message: "farm " + other.Name}}})
}

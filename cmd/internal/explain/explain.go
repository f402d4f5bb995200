// Package explain follows the first packet of a client through the rules of farms: to the farm that it belongs to, the
// reasons that stop it, the backend that gets it, and the way of the reply.
//
// The package knows the farms and the order in which their rules ask: precedence of frontends, access, bans, limits,
// fixed and remembered clients, schedulers. It does not know the kernel: the caller brings a Memory.
//
// question.go reads a question. explain.go (Find, Match) finds the farm, stops.go the reasons that stop the client,
// backends.go the backend, or the backends that can get the client. answer.go has the answer as JSON.
package explain

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// A Question is the first packet of a client. Zero fields are not known.
type Question struct {
	Service   netip.AddrPort // port 0: a protocol without ports
	Protocol  farm.Protocol
	Client    netip.AddrPort // zero, or without a port
	Interface string         // by which the packet comes in
}

// Packet gives the fields that hashes and remembered clients are computed from.
func (q Question) Packet() ruleset.ClientPacket {
	return ruleset.ClientPacket{Source: q.Client.Addr(), SourcePort: q.Client.Port(), Destination: q.Service.Addr(),
		DestinationPort: q.Service.Port()}
}

// A Match is a farm that takes the packet.
type Match struct {
	Farm      *farm.Farm
	Frontend  farm.Frontend
	Others    []farm.Frontend // of other farms, which would take the packet if this farm did not
	Down      []farm.Frontend // of farms that are down and more specific: their lists of access judge the client, too
	Elsewhere []*farm.Farm    // farms that would take the packet on other interfaces than the one asked for

	question  Question
	offloads  *farm.Farm   // its flow table takes the connections of all farms; nil: no farm's does
	addresses []netip.Addr // of this machine
}

// Find finds the farm that a packet belongs to; false if none takes it. The most specific frontend wins. A farm that is
// down takes no packet, unless no other farm does. The addresses are those of this machine.
func Find(farms []*farm.Farm, q Question, addresses []netip.Addr) (Match, bool) {
	m := Match{question: q, addresses: addresses}
	var all []farm.Frontend
	ours := slices.Contains(addresses, q.Service.Addr()) && !q.Service.Addr().IsLoopback()
	for _, f := range farms {
		if f.OffloadAll && !f.Down {
			m.offloads = f
		}
		i := slices.IndexFunc(f.Frontends(), func(d farm.Frontend) bool {
			return d.Takes(q.Service.Addr(), ours, q.Protocol, q.Service.Port())
		})
		switch {
		case i < 0:
		case q.Interface != "" && len(f.Interfaces) > 0 && !slices.Contains(f.Interfaces, q.Interface):
			m.Elsewhere = append(m.Elsewhere, f)
		default:
			all = append(all, f.Frontends()[i])
		}
	}
	slices.SortStableFunc(all, func(a, b farm.Frontend) int {
		if a.Farm.Down != b.Farm.Down {
			return map[bool]int{true: 1, false: -1}[a.Farm.Down]
		}
		return int(a.Specificity - b.Specificity)
	})
	if len(all) == 0 {
		return m, false
	}
	m.Farm, m.Frontend = all[0].Farm, all[0]
	for _, d := range all[1:] {
		if d.Farm.Down && d.Specificity < m.Frontend.Specificity {
			m.Down = append(m.Down, d)
		} else {
			m.Others = append(m.Others, d)
		}
	}
	return m, true
}

// Asked is the part of the frontend that the packet asks for: one address and one port.
func (m Match) Asked() farm.Frontend {
	d := m.Frontend
	d.Specificity = d.Specificity.Kind()
	d.Address, d.Ports = m.question.Service.Addr(), farm.Ports{First: m.question.Service.Port(),
		Last: m.question.Service.Port()}
	return d
}

// Family is the family of the packet.
func (m Match) Family() addr.Family { return m.Frontend.Family }

// precedence gives the words for a frontend's place in the order.
func precedence(s farm.Specificity) string {
	if bits := s.Bits(); bits > 0 {
		return fmt.Sprintf("%s of a network (/%d)", precedenceInNetwork[s.Kind()], bits)
	}
	return precedences[s]
}

var precedenceInNetwork = map[farm.Specificity]string{
	farm.ExactPort:    "one port",
	farm.PortRange:    "a range of ports",
	farm.OneProtocol:  "one protocol",
	farm.WholeAddress: "every protocol",
}

var precedences = map[farm.Specificity]string{
	farm.ExactPort:       "one port of an address",
	farm.PortRange:       "a range of ports of an address",
	farm.OneProtocol:     "one protocol of an address",
	farm.WholeAddress:    "a whole address",
	farm.AnyAddressPort:  "one port of every address of this machine",
	farm.AnyAddressRange: "a range of ports of every address of this machine",
}

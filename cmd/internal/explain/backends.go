package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
	"farmc/compiler/toml"
)

// A Backend is a backend that can get the client.
type Backend struct {
	Name    string  `json:"name"`
	Address string  `json:"address"` // with its port
	Share   float64 `json:"share"`   // of clients, 0 to 1; 1: it gets this one
	State   string  `json:"state"`   // of a backend without new clients, with its place; "": it takes new clients
	Place   string  `json:"place"`   // file and line of its table
	Here    bool    `json:"here"`    // it is this machine
}

// A choice is the backends that can get the client, and how one of them is chosen.
type choice struct {
	by       string
	backends []Backend
}

// choose gives the backend of the packet as the rules choose it: an open connection, a fixed client, a remembered
// client, the scheduler.
func (m Match) choose(memory Memory) choice {
	if m.Farm.Mode == farm.Local {
		return choice{by: "this machine serves it"}
	}
	if known, ok := m.known(memory); ok {
		return known
	}
	if b, ok := ruleset.HashedBackend(m.Farm, m.question.Packet()); ok && b.Connections == 0 {
		return choice{m.scheduler(), []Backend{m.certain(b)}}
	}
	return choice{m.scheduler(), m.shares(memory)}
}

// known gives the backend of a client that has one already, unless it is full; false if the scheduler chooses.
func (m Match) known(memory Memory) (choice, bool) {
	if b, ok := m.named(memory.Connected); ok {
		return choice{"its open connection", []Backend{m.keeping(b)}}, true
	}
	if b, ok := m.fixed(); ok && memory.hasRoom(b) {
		return choice{"its static session", []Backend{m.keeping(b)}}, true
	}
	if b, ok := m.eligible(memory.Backend); ok && memory.hasRoom(b) {
		return choice{fmt.Sprintf("persistence: it is remembered for %s more",
			toml.FormatDuration(memory.Left.Round(time.Second))), []Backend{m.keeping(b)}}, true
	}
	return choice{}, false
}

// scheduler describes the choice by the scheduler.
func (m Match) scheduler() string {
	words := "scheduler " + string(m.Farm.Scheduler)
	if m.Farm.Scheduler == farm.Hash || m.Farm.Scheduler == farm.Maglev {
		var on []string
		for _, k := range m.Farm.HashOn {
			on = append(on, string(k))
		}
		words += " on " + strings.Join(on, ", ")
	}
	if m.Farm.Scheduler == farm.LeastConnections {
		words += ": shares by weight, which farmc watch moves to backends with fewer open connections"
	}
	if m.Farm.PerPacket {
		words += ", for each datagram"
	}
	if m.Farm.Persistence != nil {
		words += "; then the client is remembered for " + toml.FormatDuration(m.Farm.Persistence.Timeout)
	}
	return words
}

// shares gives the backends that serve and have room, with their shares of new clients. The share of a full backend is
// that of the next one by name.
func (m Match) shares(memory Memory) (out []Backend) {
	serving := m.Farm.Serving(m.Family())
	weights, sum := farm.ShareWeights(serving), 0
	for _, w := range weights {
		sum += w
	}
	passed := 0 // the weights since the last backend with room
	for i, b := range serving {
		passed += weights[i]
		if !memory.hasRoom(b) {
			continue
		}
		shown := m.certain(b)
		shown.Share = float64(passed) / float64(sum)
		out, passed = append(out, shown), 0
	}
	if len(out) > 0 {
		out[0].Share += float64(passed) / float64(sum)
	}
	return out
}

// Idle describes the backends of a farm's family that get no new clients: a state, with its place, or a priority.
func Idle(f *farm.Farm, family addr.Family) []string {
	serving, out := f.Serving(family), []string{}
	for _, b := range f.WithFamily(family) {
		if _, serves := pick(serving, b.Name); serves {
			continue
		}
		switch {
		case b.State != farm.Up:
			out = append(out, fmt.Sprintf("%s: %s, %s", b.Name, stateOf(b), PlaceOf(b.StateAt)))
		case b.Priority > 1:
			out = append(out, fmt.Sprintf("%s: priority %d, %s", b.Name, b.Priority, PlaceOf(b.Place)))
		default:
			out = append(out, fmt.Sprintf("%s: its interface %s is not there", b.Name, b.Interface))
		}
	}
	return out
}

// stateOf describes the state of a backend that gets no new clients.
func stateOf(b farm.Backend) string {
	if b.NoWeight {
		return "weight-percent 0"
	}
	return "state " + string(b.State)
}

// certain shows a backend that gets the client.
func (m Match) certain(b farm.Backend) Backend {
	address := b.Address[m.Family()].String()
	if port := b.PortFor(m.question.Service.Port()); port != 0 {
		address = netip.AddrPortFrom(b.Address[m.Family()], port).String()
	}
	return Backend{Name: b.Name, Address: address, Share: 1, Place: PlaceOf(b.Place),
		Here: slices.Contains(m.addresses, b.Address[m.Family()])}
}

// keeping shows a backend that gets the client although it may get no new ones.
func (m Match) keeping(b farm.Backend) Backend {
	shown := m.certain(b)
	if b.State != farm.Up {
		shown.State = fmt.Sprintf("%s, %s", stateOf(b), PlaceOf(b.StateAt))
	}
	return shown
}

// named gives the backend of a name, in any state.
func (m Match) named(name string) (farm.Backend, bool) {
	return pick(m.Farm.WithFamily(m.Family()), name)
}

// eligible gives the backend of a name, if a new connection can be sent to it.
func (m Match) eligible(name string) (farm.Backend, bool) {
	return pick(m.Farm.Eligible(m.Family()), name)
}

func pick(from []farm.Backend, name string) (farm.Backend, bool) {
	i := slices.IndexFunc(from, func(b farm.Backend) bool { return b.Name == name })
	if i < 0 {
		return farm.Backend{}, false
	}
	return from[i], true
}

// fixed gives the backend of the client's static session, if a new connection can be sent to it.
func (m Match) fixed() (farm.Backend, bool) {
	if s := m.session(); s != nil {
		return m.eligible(s.Backend)
	}
	return farm.Backend{}, false
}

// unusedSession describes the client's static session if its backend takes no clients; "" in any other case.
func (m Match) unusedSession() string {
	s := m.session()
	if s == nil {
		return ""
	}
	if _, eligible := m.eligible(s.Backend); eligible {
		return ""
	}
	return fmt.Sprintf("its static session is with %s, which takes no clients", s.Backend)
}

// session gives the client's static session; nil: none. A single client comes before a network, and a small network
// before a large one.
func (m Match) session() (wider *farm.Session) {
	if m.Farm.Persistence == nil {
		return nil
	}
	for i := range m.Farm.Persistence.Static {
		s := &m.Farm.Persistence.Static[i]
		if !slices.Contains(s.Families, m.Family()) || !m.isClientOf(s) {
			continue
		}
		if !s.Network {
			return s
		}
		if wider == nil || longer(s, wider) {
			wider = s
		}
	}
	return wider
}

// isClientOf reports whether the packet has all parts of a static session. Parts that are not known do not match.
func (m Match) isClientOf(s *farm.Session) bool {
	p := m.question.Packet()
	for i, k := range m.Farm.Persistence.On {
		if i >= len(s.Client) {
			return false
		}
		same := false
		switch part := s.Client[i]; k {
		case farm.SourceAddress:
			same = holds(part, p.Source)
		case farm.DestinationAddress:
			same = holds(part, p.Destination)
		case farm.SourcePort:
			same = part == strconv.Itoa(int(p.SourcePort))
		case farm.DestinationPort:
			same = part == strconv.Itoa(int(p.DestinationPort))
		}
		if !same {
			return false
		}
	}
	return true
}

// holds reports whether an address or a network, as nft writes it, has the address.
func holds(network string, a netip.Addr) bool {
	if p, err := netip.ParsePrefix(network); err == nil {
		return p.Contains(a)
	}
	b, err := netip.ParseAddr(network)
	return err == nil && a == b
}

// longer reports whether the network of a session is smaller than another one.
func longer(a, b *farm.Session) bool {
	bits := func(s *farm.Session) int {
		for _, part := range s.Client {
			if p, err := netip.ParsePrefix(part); err == nil {
				return p.Bits()
			}
		}
		return 0
	}
	return bits(a) > bits(b)
}

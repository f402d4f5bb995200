package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

// A Filter selects the packets to trace: those that match one of the targets, and come from one of the clients.
type Filter struct {
	Targets    []Target
	Clients    netip.Prefix // zero: all
	ClientPort uint16       // 0: all
	All        bool         // all packets; else of TCP only the ones that open a connection

	Replies bool     // answers, too
	Tracked bool     // connections to the targets are tracked
	Senders []Target // backends without tracked answers: the addresses and ports of the source
}

// A Target is a destination of packets.
type Target struct {
	IP6         bool
	Destination netip.Prefix // zero: every address of this machine
	Protocol    uint8        // 0: all
	Ports       farm.Ports   // zero: all
}

// maxTargets bounds the rules that every packet of the machine is compared with while a trace runs.
const maxTargets = 256

// Errors of a filter.
var (
	ErrNoTarget       = errors.New("no packets can match: the client and the service have different families")
	ErrTooManyTargets = fmt.Errorf(
		"the farms have more than %d addresses and ports to compare packets with: name a farm or a service", maxTargets)
)

// Validate drops the targets that no client of the filter can reach.
func (f *Filter) Validate() error {
	var kept []Target
	for _, t := range f.Targets {
		if !f.Clients.IsValid() || f.Clients.Addr().Is6() == t.IP6 {
			kept = append(kept, t)
		}
	}
	f.Targets = kept
	f.Senders = slices.DeleteFunc(f.Senders, func(t Target) bool {
		return !f.Replies || f.Clients.IsValid() && f.Clients.Addr().Is6() != t.IP6
	})
	switch {
	case len(kept) == 0:
		return ErrNoTarget
	case len(kept) > maxTargets, len(f.Senders) > maxTargets:
		return ErrTooManyTargets
	}
	return nil
}

// TargetOf gives the destination of a frontend's packets.
func TargetOf(d farm.Frontend) Target {
	t := Target{IP6: d.Family == addr.IP6, Protocol: uint8(d.Protocol.Number()), Ports: d.Ports}
	if d.Address.IsValid() {
		bits := d.Address.BitLen()
		if network := d.Specificity.Bits(); network > 0 {
			bits = network
		}
		t.Destination = netip.PrefixFrom(d.Address, bits)
	}
	return t
}

// match gives the expressions that match the packets of one target, in a table of the family.
func (f *Filter) match(t Target, table uint8) (out rule) {
	size, source, destination := headerOffsets(t.IP6)
	out = append(out, isFamily(t.IP6, table)...)
	if f.Clients.IsValid() {
		out = append(out, inNetwork(source, size, f.Clients)...)
	}
	if t.Destination.IsValid() {
		out = append(out, inNetwork(destination, size, t.Destination)...)
	} else {
		out = append(out, isLocal()...)
	}
	if t.Protocol != 0 {
		out = append(out, isProtocol(t.Protocol)...)
	}
	if f.ClientPort != 0 {
		out = append(out, inPorts(0, farm.Ports{First: f.ClientPort, Last: f.ClientPort})...)
	}
	if t.Ports.First != 0 {
		out = append(out, inPorts(2, t.Ports)...)
	}
	return out
}

// headerOffsets are the size of an address, and the places of source and destination in the header.
func headerOffsets(ip6 bool) (size, source, destination int) {
	if ip6 {
		return 16, 8, 24
	}
	return 4, 12, 16
}

// tcp is the number of TCP.
const tcp = unix.IPPROTO_TCP

package farm

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
)

// Ports are a run of port numbers, 1 to 65535, first and last included.
type Ports struct {
	First, Last uint16
}

// Single reports whether the run is a single port.
func (p Ports) Single() bool { return p.First == p.Last }

// String writes the run as nft and farms do.
func (p Ports) String() string {
	if p.Single() {
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// A Listen is one entry of a farm's listen: the frontends that clients connect to. An Address that is not valid stands
// for every address of this machine but loopback, in the Families given. Protocols without ports have no Ports.
type Listen struct {
	Address   netip.Addr // the first one of a network
	Bits      int        // of the network's prefix, 1 to 127; 0: a single address, or every address
	Families  []addr.Family
	Ports     []Ports
	Protocols []Protocol
	Place     diag.Place
}

// Whole reports whether the entry takes a whole address with all protocols (layer 3).
func (l Listen) Whole() bool { return l.Protocols[0] == AnyProtocol }

// Portless reports whether the entry takes protocols without ports, or all of them.
func (l Listen) Portless() bool { return len(l.Ports) == 0 }

// Network is the network, or the address as a network of one; not valid: every address of this machine.
func (l Listen) Network() netip.Prefix { return newNetwork(l.Address, l.Bits) }

// Has reports whether clients that ask for the address can mean the entry.
func (l Listen) Has(a netip.Addr) bool {
	return slices.Contains(l.Families, addr.FamilyOf(a)) && (!l.Address.IsValid() || l.Network().Contains(a))
}

// portlessNote says why keys about ports have no effect.
func (l Listen) portlessNote() diag.Note {
	if l.Whole() {
		return diag.Note{Place: l.Place, Message: "takes every protocol"}
	}
	return diag.Note{Place: l.Place, Message: "takes protocols without ports"}
}

const listenRule = "ADDRESS[/LENGTH]:PORTS[/PROTOCOLS] or ADDRESS[/LENGTH]/PROTOCOLS: " +
	"192.0.2.10:80,443,8000-8100/tcp, [2001:db8::10]:443/tcp,udp, 198.51.100.0/28:443, 192.0.2.10/all, " +
	"192.0.2.10/esp, *:80"

// parseListen reads ADDRESS[/LENGTH]:PORTS[/PROTOCOLS] or ADDRESS[/LENGTH]/PROTOCOLS.
func parseListen(text string) (Listen, error) {
	var l Listen
	without, length, err := cutLength(text)
	if err != nil {
		return l, err
	}
	rest, protocols, hasProtocols := strings.Cut(without, "/")
	address, ports, hasPorts, err := splitAddress(rest)
	if err != nil {
		return l, err
	}
	var errs [3]error
	if length == "" {
		l.Address, l.Families, errs[0] = parseListenAddress(address)
	} else {
		l.Address, l.Bits, errs[0] = parseListenNetwork(address, length)
		l.Families = []addr.Family{addr.FamilyOf(l.Address)}
	}
	if l.Address.IsValid() && errs[0] == nil && !hasPorts && !hasProtocols {
		return l, noPortsError{l.Network()}
	}
	if hasPorts {
		l.Ports, errs[1] = parsePorts(ports)
	}
	if errs[0] == nil {
		l.Protocols, errs[2] = parseProtocols(protocols, l.Families[0], hasProtocols, hasPorts)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return l, firstOf(errs[:])
	}
	switch {
	case l.Address.IsValid():
	case l.Whole():
		return l, fmt.Errorf("%q would take every protocol of every address of this machine", text)
	case l.Portless():
		return l, fmt.Errorf("%q: a protocol without ports needs an address or a network", text)
	}
	return l, nil
}

// A noPortsError is an address alone. The whole address has to be written as such, because it takes every service of
// the address from this machine.
type noPortsError struct{ network netip.Prefix }

func (e noPortsError) Error() string {
	return fmt.Sprintf("%s lacks ports, or /all for every port and protocol", networkText(e.network))
}

// hint is the entry as it would be right.
func (e noPortsError) hint() string {
	return fmt.Sprintf("\"%s/all\", or with ports \"%s:80\"", networkText(e.network), bracketed(e.network))
}

func firstOf(errs []error) error {
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	return errs[i]
}

// splitAddress parts the address from the ports. An IPv6 address has colons itself, so it stands in brackets if
// ports follow.
func splitAddress(text string) (address, ports string, hasPorts bool, err error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		address, rest, closed := strings.Cut(inner, "]")
		if !closed {
			return "", "", false, fmt.Errorf("%q lacks a closing bracket", text)
		}
		if address != "" && !strings.Contains(address, ":") {
			return "", "", false, fmt.Errorf("%q: brackets are for IPv6 addresses", text)
		}
		ports, hasPorts = strings.CutPrefix(rest, ":")
		if rest != "" && !hasPorts {
			return "", "", false, fmt.Errorf("%q: after the bracket comes a colon and the ports", text)
		}
		return address, ports, hasPorts, nil
	}
	if strings.Count(text, ":") > 1 {
		return text, "", false, nil
	}
	address, ports, hasPorts = strings.Cut(text, ":")
	return address, ports, hasPorts, nil
}

func parseListenAddress(text string) (netip.Addr, []addr.Family, error) {
	if text == "*" {
		return netip.Addr{}, addr.Families[:], nil
	}
	a, err := addr.ParseAddress(text)
	switch {
	case err != nil:
		return a, nil, err
	case a.IsUnspecified():
		return netip.Addr{}, []addr.Family{addr.FamilyOf(a)}, nil
	case a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return a, nil, fmt.Errorf("%s is not the address of one machine", a)
	}
	return a, []addr.Family{addr.FamilyOf(a)}, nil
}

func parsePorts(text string) ([]Ports, error) {
	var out []Ports
	for _, word := range strings.Split(text, ",") {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		a, errA := parsePort(first)
		b, errB := parsePort(last)
		if err := errors.Join(errA, errB); err != nil {
			return nil, fmt.Errorf("%q is not a port or a range of ports, 1 to 65535", word)
		}
		if b < a {
			return nil, fmt.Errorf("the range of ports %s ends before it begins", word)
		}
		out = append(out, Ports{a, b})
	}
	return out, nil
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("%q is not a port", text)
	}
	return uint16(n), nil
}

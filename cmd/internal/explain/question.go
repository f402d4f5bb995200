package explain

import (
	"fmt"
	"net/netip"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// ParseService reads ADDRESS:PORT[/PROTOCOL] or ADDRESS/PROTOCOL, for a protocol without ports. Without a protocol it
// is tcp.
func ParseService(text string) (netip.AddrPort, farm.Protocol, error) {
	where, protocol, named := strings.Cut(text, "/")
	service, hasPort, err := parseEnd(where)
	ported := farm.Protocol(protocol).HasPorts()
	switch {
	case err != nil:
		return service, "", fmt.Errorf("%q is not ADDRESS:PORT, such as 192.0.2.10:80 or [2001:db8::10]:53/udp", text)
	case !named && !hasPort:
		return service, "", fmt.Errorf("%q has no port; a protocol without ports is named, as in %s/icmp", text, where)
	case !named:
		return service, farm.TCP, nil
	case ported && !hasPort:
		return service, "", fmt.Errorf("%q has no port", text)
	case hasPort && !ported:
		return service, "", fmt.Errorf("%q: %q is not tcp, udp or sctp", text, protocol)
	case protocol == "" || strings.Trim(protocol, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return service, "", fmt.Errorf("%q: %q is no protocol", text, protocol)
	}
	if p, err := farm.ParseProtocol(protocol, addr.FamilyOf(service.Addr())); err == nil {
		return service, p, nil
	}
	return service, farm.Protocol(protocol), nil
}

// ParseClient reads ADDRESS or ADDRESS:PORT.
func ParseClient(text string) (netip.AddrPort, error) {
	client, _, err := parseEnd(text)
	if err != nil {
		return client, fmt.Errorf("%q is not ADDRESS or ADDRESS:PORT, such as 198.51.100.7:40000", text)
	}
	return client, nil
}

// parseEnd reads one end of a connection.
func parseEnd(text string) (end netip.AddrPort, hasPort bool, err error) {
	if a, err := addr.ParseAddress(strings.Trim(text, "[]")); err == nil {
		return netip.AddrPortFrom(a, 0), false, nil
	}
	end, err = netip.ParseAddrPort(text)
	if err == nil && (end.Port() == 0 || end.Addr().Zone() != "") {
		err = fmt.Errorf("%s has no port or a zone", text)
	}
	return netip.AddrPortFrom(end.Addr().Unmap(), end.Port()), true, err
}

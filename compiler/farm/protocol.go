package farm

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/addr"
)

// A Protocol is a protocol of the IP header, or AnyProtocol. One without a name here is proto-N.
type Protocol string

// The protocols with a name that a listen can have. Only the first three have ports.
const (
	TCP         Protocol = "tcp"
	UDP         Protocol = "udp"
	SCTP        Protocol = "sctp"
	ICMP        Protocol = "icmp"
	ICMPv6      Protocol = "icmpv6"
	GRE         Protocol = "gre"
	ESP         Protocol = "esp"
	AH          Protocol = "ah"
	AnyProtocol Protocol = "all"
)

// protocolPrefix begins the names of protocols by number.
const protocolPrefix = "proto-"

// namedProtocols are the protocols with a name.
var namedProtocols = []Protocol{TCP, UDP, SCTP, ICMP, ICMPv6, GRE, ESP, AH}

// Number is the protocol's number in the IP header (IANA, assigned internet protocol numbers); 0 for AnyProtocol.
func (p Protocol) Number() int {
	switch p {
	case TCP:
		return 6
	case UDP:
		return 17
	case SCTP:
		return 132
	case ICMP:
		return 1
	case ICMPv6:
		return 58
	case GRE:
		return 47
	case ESP:
		return 50
	case AH:
		return 51
	}
	n, _ := strconv.ParseUint(strings.TrimPrefix(string(p), protocolPrefix), 10, 8)
	return int(n)
}

// HasPorts reports whether packets of the protocol have ports.
func (p Protocol) HasPorts() bool { return p == TCP || p == UDP || p == SCTP }

// ParseProtocol reads a protocol for packets of a family: a name, or proto-N. In IPv6 icmp is icmpv6.
func ParseProtocol(word string, family addr.Family) (Protocol, error) {
	p := Protocol(word)
	number, numbered := strings.CutPrefix(word, protocolPrefix)
	switch n, err := strconv.ParseUint(number, 10, 8); {
	case p == ICMP && family == addr.IP6:
		return ICMPv6, nil
	case numbered && (err != nil || n == 0 || number[0] == '0'):
		return "", fmt.Errorf("%q is not a protocol: the number is 1 to 255", word)
	case numbered:
		p = ProtocolOf(int(n))
	case p != AnyProtocol && !slices.Contains(namedProtocols, p):
		return "", fmt.Errorf("%q is not a protocol: tcp, udp, sctp, icmp, gre, esp, ah, proto-N or all", word)
	}
	if p == ICMP && family == addr.IP6 || p == ICMPv6 && family == addr.IP4 {
		return "", fmt.Errorf("%s is no protocol of %s", p, family)
	}
	return p, nil
}

// ProtocolOf gives the protocol of a number in the IP header, 1 to 255.
func ProtocolOf(number int) Protocol {
	i := slices.IndexFunc(namedProtocols, func(p Protocol) bool { return p.Number() == number })
	if i < 0 {
		return Protocol(protocolPrefix + strconv.Itoa(number))
	}
	return namedProtocols[i]
}

// parseProtocols reads the protocols of an entry of listen.
func parseProtocols(text string, family addr.Family, hasProtocols, hasPorts bool) ([]Protocol, error) {
	if !hasProtocols && hasPorts {
		return []Protocol{TCP}, nil
	}
	if !hasProtocols { // every address of this machine, which is a fault
		return []Protocol{AnyProtocol}, nil
	}
	var out []Protocol
	for _, word := range strings.Split(text, ",") {
		p, err := ParseProtocol(word, family)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, validateProtocols(out, hasPorts)
}

// validateProtocols refuses protocols that cannot stand together, or that do not fit the ports.
func validateProtocols(all []Protocol, hasPorts bool) error {
	whole := slices.Contains(all, AnyProtocol)
	ported := slices.IndexFunc(all, Protocol.HasPorts)
	portless := slices.IndexFunc(all, func(p Protocol) bool { return !p.HasPorts() })
	switch {
	case whole && len(all) > 1:
		return errors.New("all stands alone: it holds every protocol")
	case whole && hasPorts:
		return errors.New("all takes no ports: it is the whole address, whatever the protocol")
	case hasPorts && portless >= 0:
		return fmt.Errorf("%s has no ports: ADDRESS/%[1]s", all[portless])
	case !hasPorts && ported >= 0:
		return fmt.Errorf("%s needs ports: ADDRESS:PORTS/%[1]s", all[ported])
	}
	return nil
}

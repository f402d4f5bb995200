package machine

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// usualPorts are services that ask each other from the port that they serve on: DNS, NTP, IKE, its NAT traversal, and
// SIP. Their programs can start after the farms are loaded.
var usualPorts = []uint16{53, 123, 500, 4500, 5060}

// ServedPorts gives the ports that programs of this machine serve on, and usualPorts, in order. A machine without an
// address but loopback has none.
func ServedPorts() []uint16 {
	if !hasAddress() {
		return nil
	}
	ports := slices.Concat(usualPorts, listening(unix.IPPROTO_TCP, tcpListen), serving())
	slices.Sort(ports)
	return slices.Compact(ports)
}

// hasAddress reports whether this machine has an address on a link to other machines.
func hasAddress() bool {
	all, _ := netlink.AddrList(nil, netlink.FAMILY_ALL)
	return slices.ContainsFunc(all, func(a netlink.Addr) bool { return a.IP.IsGlobalUnicast() })
}

// serving gives the ports of unconnected UDP sockets. The ephemeral ports among them belong to clients, such as
// resolvers with a question open, and change all the time.
func serving() []uint16 {
	first, last := ephemeralPorts()
	return slices.DeleteFunc(listening(unix.IPPROTO_UDP, tcpClose), func(port uint16) bool {
		return first <= port && port <= last
	})
}

// States of sockets (include/net/tcp_states.h). An unconnected UDP socket is in tcpClose.
const (
	tcpClose  = 7
	tcpListen = 10
)

// listening gives the ports of sockets in a state, except for sockets that take packets of this machine alone. A kernel
// without socket diagnosis has none.
func listening(protocol, state uint8) (ports []uint16) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		request := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		request.AddRawData(diagRequest(family, protocol, state))
		answers, err := request.Execute(unix.NETLINK_INET_DIAG, 0)
		if err != nil {
			continue
		}
		for _, a := range answers {
			if port := reachablePort(a); port != 0 {
				ports = append(ports, port)
			}
		}
	}
	return ports
}

// diagRequest is a struct inet_diag_req_v2 (linux/inet_diag.h).
func diagRequest(family, protocol, state uint8) []byte {
	request := make([]byte, 56)
	request[0], request[1] = family, protocol
	nl.NativeEndian().PutUint32(request[4:], 1<<state)
	return request
}

// reachablePort reads the local port of a struct inet_diag_msg; 0 if the socket is bound to a loopback address.
func reachablePort(message []byte) uint16 {
	const sourcePort, source = 4, 8
	if len(message) < source+16 {
		return 0
	}
	address, _ := netip.AddrFromSlice(message[source : source+16])
	if message[0] == unix.AF_INET {
		address, _ = netip.AddrFromSlice(message[source : source+4])
	}
	if address.Unmap().IsLoopback() {
		return 0
	}
	return binary.BigEndian.Uint16(message[sourcePort:])
}

// ephemeralPorts reads the range of ports that the kernel gives to clients.
func ephemeralPorts() (first, last uint16) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if _, scanned := fmt.Sscan(string(text), &first, &last); err != nil || scanned != nil {
		return 32768, 60999
	}
	return first, last
}

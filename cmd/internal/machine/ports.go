package machine

import (
	"fmt"
	"os"
	"slices"

	"github.com/vishvananda/netlink"

	"farmc/cmd/internal/sockets"
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
	ports := slices.Concat(usualPorts, listening())
	slices.Sort(ports)
	return slices.Compact(ports)
}

// hasAddress reports whether this machine has an address on a link to other machines.
func hasAddress() bool {
	all, _ := netlink.AddrList(nil, netlink.FAMILY_ALL)
	return slices.ContainsFunc(all, func(a netlink.Addr) bool { return a.IP.IsGlobalUnicast() })
}

// listening gives the ports of sockets that wait for clients, except for sockets that take packets of this machine
// alone. The ephemeral ports of UDP belong to clients, such as resolvers with a question open, and change all the time.
func listening() (ports []uint16) {
	all, _ := sockets.Listening() // as far as the kernel lists them
	first, last := ClientPorts()
	for _, s := range all {
		client := s.Protocol == sockets.UDP && first <= s.Port && s.Port <= last
		if s.Protocol != sockets.SCTP && !client && !s.Address.IsLoopback() {
			ports = append(ports, s.Port)
		}
	}
	return ports
}

// ClientPorts reads the range of ports that the kernel gives to clients.
func ClientPorts() (first, last uint16) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if _, scanned := fmt.Sscan(string(text), &first, &last); err != nil || scanned != nil {
		return 32768, 60999
	}
	return first, last
}

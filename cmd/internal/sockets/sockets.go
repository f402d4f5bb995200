// Package sockets lists the ports on which programs of this machine listen, and names the programs.
//
// The package knows the kernel's socket tables of the thread's network namespace. It knows nothing of farms. sockets.go
// asks the kernel by netlink (sock_diag(7)), procfs.go reads /proc where the kernel lacks that, and program.go finds
// the program that has a socket.
package sockets

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Socket waits for clients: a listening socket of TCP or SCTP, or a socket of UDP that is not connected.
type Socket struct {
	Protocol Protocol
	Address  netip.Addr // unspecified: every address of this machine
	Only6    bool       // an unspecified IPv6 address does not stand for IPv4 addresses
	Port     uint16
	Link     int // index of the interface that the socket is bound to; 0: none
	Inode    uint32
	CGroup   uint64 // number of the control group of its creator; 0: not known
}

// A Protocol is a transport protocol, named as farms do.
type Protocol string

// The protocols with ports.
const (
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
	SCTP Protocol = "sctp"
)

// kinds are the kernel's names for the protocols, and the states of sockets that wait for clients (tcp_states.h).
var kinds = []struct {
	protocol Protocol
	number   uint8
	state    uint8
}{{TCP, unix.IPPROTO_TCP, stateListen}, {UDP, unix.IPPROTO_UDP, stateClose}, {SCTP, unix.IPPROTO_SCTP, stateListen}}

const (
	stateClose  = 7
	stateListen = 10
)

// Listening returns the sockets of this thread's network namespace that wait for clients. SCTP is left out where the
// kernel does not list it. Beside an error it returns the sockets that it found.
func Listening() (all []Socket, failed error) {
	for _, k := range kinds {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			found, err := ask(family, k.number, k.state)
			if err != nil && k.protocol != SCTP {
				found, err = readProc(family, k.protocol, k.state)
			}
			if err != nil && k.protocol != SCTP && !errors.Is(err, unix.ENOENT) {
				failed = errors.Join(failed, err)
			}
			for _, s := range found {
				s.Protocol = k.protocol
				all = append(all, s)
			}
		}
	}
	return all, failed
}

// Serves reports whether packets to an address of this machine reach the socket.
func (s Socket) Serves(a netip.Addr) bool {
	switch {
	case !s.Address.IsUnspecified():
		return s.Address == a
	case s.Address.Is4():
		return a.Is4()
	}
	return a.Is6() || !s.Only6
}

// A request is struct inet_diag_req_v2 of linux/inet_diag.h.
type request struct{ family, protocol, state uint8 }

func (r request) Len() int { return 56 }

func (r request) Serialize() []byte {
	out := make([]byte, r.Len())
	out[0], out[1] = r.family, r.protocol
	binary.NativeEndian.PutUint32(out[4:], 1<<r.state)
	return out
}

func ask(family, protocol, state uint8) (all []Socket, err error) {
	q := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	q.AddData(request{family, protocol, state})
	messages, err := q.Execute(unix.NETLINK_INET_DIAG, 0)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if s, ok := parse(m); ok {
			all = append(all, s)
		}
	}
	return all, nil
}

const (
	diagHeader = 72 // the size of struct inet_diag_msg
	diagV6Only = 11 // INET_DIAG_SKV6ONLY
	diagCGroup = 21 // INET_DIAG_CGROUP_ID, since Linux 5.8
)

// parse reads struct inet_diag_msg and its attributes.
func parse(m []byte) (s Socket, ok bool) {
	if len(m) < diagHeader {
		return s, false
	}
	address := m[8:24]
	if m[0] == unix.AF_INET {
		address = m[8:12]
	}
	a, _ := netip.AddrFromSlice(address)
	s = Socket{Address: a.Unmap(), Port: binary.BigEndian.Uint16(m[4:]),
		Link: int(binary.NativeEndian.Uint32(m[40:])), Inode: binary.NativeEndian.Uint32(m[68:])}
	attributes, _ := nl.ParseRouteAttr(m[diagHeader:])
	for _, at := range attributes {
		switch {
		case at.Attr.Type == diagV6Only && len(at.Value) > 0:
			s.Only6 = at.Value[0] != 0
		case at.Attr.Type == diagCGroup && len(at.Value) == 8:
			s.CGroup = binary.NativeEndian.Uint64(at.Value)
		}
	}
	return s, s.Port != 0
}

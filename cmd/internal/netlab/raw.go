package netlab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// SendPacket sends a whole IP packet, header included, by the host's routes. The kernel fills in the header checksum of
// IPv4, and the identification if it is zero.
func (h *Host) SendPacket(packet []byte) error {
	if len(packet) < 20 {
		return fmt.Errorf("send a packet: %d bytes are shorter than an IP header", len(packet))
	}
	family, to := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Addr: [4]byte(packet[16:20])})
	if packet[0]>>4 == 6 {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte(packet[24:40])}
	}
	return h.Do(func() error {
		s, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(s)
		return unix.Sendto(s, packet, 0, to)
	})
}

// SendFrame sends a whole Ethernet frame out of a link.
func (h *Host) SendFrame(link string, frame []byte) error {
	return h.Do(func() error {
		on, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(s)
		return unix.Sendto(s, frame, 0, &unix.SockaddrLinklayer{Ifindex: on.Index})
	})
}

// A Tap receives the frames that arrive on a link of a host, before nf_tables and the IP stack.
type Tap struct{ file *os.File }

// Tap starts to receive the frames that arrive on a link.
func (h *Host) Tap(link string) (*Tap, error) {
	var fd int
	err := h.Do(func() error {
		on, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer) != nil { // in a user namespace
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, tapBuffer)
		}
		err = errors.Join(err,
			unix.SetsockoptInt(fd, unix.SOL_PACKET, packetIgnoreOutgoing, 1),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: on.Index}))
		if err != nil {
			unix.Close(fd)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("tap %s of %s: %w", link, h.Name, err)
	}
	return &Tap{os.NewFile(uintptr(fd), "tap")}, nil
}

// tapBuffer is the room for frames that are not read yet, in bytes. By default there are 208 KiB, which some 200 frames
// fill, as the kernel counts about 1 KiB for a small one.
const tapBuffer = 4 << 20

const packetIgnoreOutgoing = 23 // PACKET_IGNORE_OUTGOING of include/uapi/linux/if_packet.h

func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// Next gives the next IP packet, without its Ethernet header, for which fits is true. TimedOut(err) means that none
// arrived in time.
func (t *Tap) Next(timeout time.Duration, fits func(packet []byte) bool) ([]byte, error) {
	if err := t.file.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	frame := make([]byte, 1<<16)
	for {
		n, err := t.file.Read(frame)
		if err != nil {
			return nil, err
		}
		const header = 14
		if n > header+20 && (frame[header]>>4 == 4 || frame[header]>>4 == 6) && fits(frame[header:n]) {
			return frame[header:n], nil
		}
	}
}

// Close closes the tap.
func (t *Tap) Close() { t.file.Close() }

// Packet is a whole IP packet of the given protocol, with TTL or hop limit 64.
func Packet(from, to netip.Addr, protocol byte, payload []byte) []byte {
	if from.Is6() {
		packet := []byte{6 << 4, 0, 0, 0, 0, 0, protocol, plainTTL}
		binary.BigEndian.PutUint16(packet[4:], uint16(len(payload)))
		return append(append(append(packet, from.AsSlice()...), to.AsSlice()...), payload...)
	}
	packet := []byte{4<<4 | 5, 0, 0, 0, 0, 0, 0, 0, plainTTL, protocol, 0, 0}
	binary.BigEndian.PutUint16(packet[2:], uint16(20+len(payload)))
	packet = append(append(packet, from.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(packet[10:], checksum(packet))
	return append(packet, payload...)
}

// Whole forbids routers to fragment a packet of IPv4 (DF), as Linux does for TCP. It changes the packet.
func Whole(packet []byte) []byte {
	if packet[0]>>4 == 4 {
		const dontFragment, header = 0x40, 20
		packet[6] |= dontFragment
		packet[10], packet[11] = 0, 0
		binary.BigEndian.PutUint16(packet[10:], checksum(packet[:header]))
	}
	return packet
}

// Errors that routers send (RFC 792, RFC 4443).
var (
	TooBig      = ICMPError{[2]byte{3, 4}, [2]byte{2, 0}}
	Unreachable = ICMPError{[2]byte{3, 3}, [2]byte{1, 4}} // the port
	Exceeded    = ICMPError{[2]byte{11, 0}, [2]byte{3, 0}}
)

// An ICMPError is a kind of error: type and code of ICMP and of ICMPv6.
type ICMPError struct{ IP4, IP6 [2]byte }

// About is the packet that a router sends to the source of a packet that it cannot forward. mtu is the maximum size for
// TooBig, in bytes, and 0 otherwise.
func (e ICMPError) About(packet []byte, router netip.Addr, mtu uint16) []byte {
	if packet[0]>>4 == 6 {
		to := netip.AddrFrom16([16]byte(packet[8:24]))
		message := append([]byte{e.IP6[0], e.IP6[1], 0, 0, 0, 0, byte(mtu >> 8), byte(mtu)}, packet...)
		pseudo := append(append(router.AsSlice(), to.AsSlice()...), 0, 0, byte(len(message)>>8), byte(len(message)), 0,
			0, 0, unix.IPPROTO_ICMPV6)
		binary.BigEndian.PutUint16(message[2:], checksum(append(pseudo, message...)))
		return Packet(router, to, unix.IPPROTO_ICMPV6, message)
	}
	to := netip.AddrFrom4([4]byte(packet[12:16]))
	message := append([]byte{e.IP4[0], e.IP4[1], 0, 0, 0, 0, byte(mtu >> 8), byte(mtu)}, packet...)
	binary.BigEndian.PutUint16(message[2:], checksum(message))
	return Packet(router, to, unix.IPPROTO_ICMP, message)
}

// SCTPInit is the SCTP packet that opens an association (RFC 9260, 3.3.2), with its checksum (appendix A).
func SCTPInit(from, to uint16) []byte {
	packet := binary.BigEndian.AppendUint16(nil, from)
	packet = binary.BigEndian.AppendUint16(packet, to)
	packet = append(packet, 0, 0, 0, 0, 0, 0, 0, 0) // verification tag, checksum
	packet = append(packet, 1, 0, 0, 20)            // INIT
	packet = append(packet, 1, 2, 3, 4)             // initiate tag
	packet = append(packet, 0, 1, 0, 0, 0, 1, 0, 1) // window, streams
	packet = append(packet, 5, 6, 7, 8)             // first TSN
	binary.LittleEndian.PutUint32(packet[8:], crc32.Checksum(packet, crc32.MakeTable(crc32.Castagnoli)))
	return packet
}

// Segment is a TCP segment without options and data, with its checksum (RFC 9293, 3.1). Sequence numbers begin at 1000
// in a SYN, and go on from there.
func Segment(from, to netip.AddrPort, flags byte) []byte {
	const syn, first = 0x02, 1000
	sequence := uint32(first)
	if flags&syn == 0 {
		sequence++
	}
	segment := binary.BigEndian.AppendUint16(nil, from.Port())
	segment = binary.BigEndian.AppendUint16(segment, to.Port())
	segment = binary.BigEndian.AppendUint32(segment, sequence)
	segment = binary.BigEndian.AppendUint32(segment, first+1)
	segment = append(segment, 5<<4, flags, 0xfd, 0xe8, 0, 0, 0, 0) // 20 bytes, window, checksum, urgent pointer
	pseudo := append(append(from.Addr().AsSlice(), to.Addr().AsSlice()...), 0, unix.IPPROTO_TCP, 0, byte(len(segment)))
	binary.BigEndian.PutUint16(segment[16:], checksum(append(pseudo, segment...)))
	return segment
}

// checksum is the Internet checksum of RFC 1071.
func checksum(data []byte) uint16 {
	var sum uint32
	for i, b := range data {
		sum += uint32(b) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

package main

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
)

// cost4 is the cost of packets of each part of a connection, without the sender and the links. reply is 0 where replies
// take another way.
type cost4 struct{ established, reply, opening float64 }

func (c cost4) print(name string, farms int, family string) {
	fmt.Printf("%-36s %6d %-4s %12.0f %8.0f %8.0f\n", name, farms, family, c.established, c.reply, c.opening)
}

// lower returns the lower ones of two costs.
func (c cost4) lower(o cost4) cost4 {
	return cost4{min(c.established, o.established), min(c.reply, o.reply), min(c.opening, o.opening)}
}

// Numbers of packets for a measurement.
const (
	connections = 200  // that are open
	sent        = 4000 // packets of each kind
	chunk       = 250  // packets between two looks at the clock
)

// Flags of TCP.
const syn, ack = 0x02, 0x10

// measureFamily opens connections, and measures their packets, replies to them, and first packets of new connections.
func (l *packetLab) measureFamily(f family, to netip.AddrPort, oneWay bool) (c cost4, err error) {
	open := l.ports(connections)
	replies, err := l.open(f, to, open, oneWay)
	if err != nil {
		return c, err
	}
	requests := l.client.frames(f, to, open, ack)
	if _, err := send(l.client.socket, requests, 2*connections); err != nil { // caches, offloaded flows
		return c, err
	}
	settle()
	if c.established, err = l.cost(&l.client, &l.backend, requests); err != nil {
		return c, fmt.Errorf("established: %w", err)
	}
	if !oneWay {
		if _, err := send(l.backend.socket, replies, connections); err != nil {
			return c, err
		}
		if c.reply, err = l.cost(&l.backend, &l.client, replies); err != nil {
			return c, fmt.Errorf("replies: %w", err)
		}
	}
	settle()
	if c.opening, err = l.cost(&l.client, &l.backend, l.client.frames(f, to, l.ports(sent), syn)); err != nil {
		return c, fmt.Errorf("new connections: %w", err)
	}
	return c, nil
}

// open opens connections by a SYN and the reply of the backend, and returns frames for further replies. Connections
// that pass the balancer one way need no reply.
func (l *packetLab) open(f family, to netip.AddrPort, from []uint16, oneWay bool) (replies [][]byte, err error) {
	tap, err := l.Backends[0].Tap("eth0")
	if err != nil {
		return nil, err
	}
	defer tap.Close()
	for i, frame := range l.client.frames(f, to, from, syn) {
		if _, err := send(l.client.socket, [][]byte{frame}, 1); err != nil {
			return nil, err
		}
		packet, err := tap.Next(time.Second, isTCP)
		if err != nil {
			return nil, fmt.Errorf("connection %d of %d does not reach the backend: %w", i+1, len(from), err)
		}
		if oneWay {
			continue
		}
		client, backend := ends(packet)
		if _, err := send(l.backend.socket, [][]byte{l.backend.frame(backend, client, syn|ack)}, 1); err != nil {
			return nil, err
		}
		replies = append(replies, l.backend.frame(backend, client, ack))
	}
	return replies, nil
}

func isTCP(packet []byte) bool {
	return packet[0]>>4 == 4 && packet[9] == unix.IPPROTO_TCP || packet[0]>>4 == 6 && packet[6] == unix.IPPROTO_TCP
}

// ends are the source and the destination of a TCP packet.
func ends(packet []byte) (from, to netip.AddrPort) {
	addresses, segment := packet[12:20], packet[20:]
	if packet[0]>>4 == 6 {
		addresses, segment = packet[8:40], packet[40:]
	}
	source, _ := netip.AddrFromSlice(addresses[:len(addresses)/2])
	destination, _ := netip.AddrFromSlice(addresses[len(addresses)/2:])
	return netip.AddrPortFrom(source, uint16(segment[0])<<8|uint16(segment[1])),
		netip.AddrPortFrom(destination, uint16(segment[2])<<8|uint16(segment[3]))
}

// frames are frames from each source port to a service, from as many clients as there are open connections. A single
// client would meet a single element of each map, whose cost differs by 1 % with the random seed of the kernel's hash.
func (p *port) frames(f family, to netip.AddrPort, from []uint16, flags byte) (frames [][]byte) {
	for i, source := range from {
		frames = append(frames, p.frame(netip.AddrPortFrom(f.client(i%connections), source), to, flags))
	}
	return frames
}

// frame is a TCP packet without data from the port to the balancer.
func (p *port) frame(from, to netip.AddrPort, flags byte) []byte {
	kind := []byte{0x08, 0x00}
	if to.Addr().Is6() {
		kind = []byte{0x86, 0xdd}
	}
	packet := netlab.Whole(netlab.Packet(from.Addr(), to.Addr(), unix.IPPROTO_TCP, netlab.Segment(from, to, flags)))
	return slices.Concat(p.peer, p.source, kind, packet)
}

// cost sends frames from one port to another, all of which must arrive, and returns the cost of one.
func (l *packetLab) cost(from, to *port, frames [][]byte) (float64, error) {
	before, err := to.received()
	if err != nil {
		return 0, err
	}
	took, err := send(from.socket, frames, sent)
	if err != nil {
		return 0, err
	}
	after, err := to.received()
	if err != nil {
		return 0, err
	}
	if n := after - before; n < sent || n > sent+sent/20 { // other packets may arrive, too
		return 0, fmt.Errorf("%d of %d packets have arrived", n, sent)
	}
	return took - l.links, nil
}

// send sends n frames, the given ones in turn, and returns the lower quartile over chunks of the nanoseconds for one,
// because what the kernel does besides only adds. The kernel does all work for a frame before the system call returns.
func send(socket int, frames [][]byte, n int) (float64, error) {
	var costs []float64
	size := min(n, chunk)
	for i := 0; i+size <= n; {
		began := time.Now()
		for end := i + size; i < end; i++ {
			frame := frames[i%len(frames)]
			_, _, err := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(socket), uintptr(unsafe.Pointer(&frame[0])),
				uintptr(len(frame)), 0, 0, 0)
			if err != 0 {
				return 0, fmt.Errorf("send a frame: %w", err)
			}
		}
		costs = append(costs, float64(time.Since(began))/float64(size))
	}
	slices.Sort(costs)
	return costs[len(costs)/4], nil
}

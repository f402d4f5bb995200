package packettest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"time"

	"farmc/cmd/internal/netlab"
)

// A rawPacket has a protocol for which this kernel may have no sockets. Only SCTP has ports.
type rawPacket struct {
	protocol byte
	from, to netip.AddrPort
	body     string // after ports and checksum
}

const protocolGRE, protocolESP, protocolExperiment = 47, 50, 253

var protocolNames = map[byte]string{protocolGRE: "gre", protocolESP: "esp", protocolSCTP: "sctp",
	protocolExperiment: "protocol-253-over-ip"}

// Bodies of packets. SCTP begins with a verification tag, which the answer takes from the first packet, and a zero for
// the checksum. A chunk INIT or INIT ACK follows (RFC 9260, 3.3.2). GRE begins with a protocol (RFC 2784), ESP with a
// security parameters index (RFC 4303).
const (
	sctpInit = "\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x14\x01\x02\x03\x04\x00\x01\x00\x00\x00\x01\x00\x01" +
		"\x05\x06\x07\x08"
	sctpInitAck = "\x01\x02\x03\x04\x00\x00\x00\x00\x02\x00\x00\x14\x09\x08\x07\x06\x00\x01\x00\x00\x00\x01\x00\x01" +
		"\x05\x06\x07\x08"
	greRequest = "\x00\x00\x08\x00 a question, tunnelled"
	greReply   = "\x00\x00\x08\x00 an answer, tunnelled"
	espRequest = "\x00\x00\x12\x34\x00\x00\x00\x01 encrypted request"
	espReply   = "\x00\x00\x43\x21\x00\x00\x00\x01 encrypted answer"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bytes is the packet in wire format.
func (p rawPacket) bytes() []byte {
	if p.protocol != protocolSCTP {
		return netlab.Packet(p.from.Addr(), p.to.Addr(), p.protocol, []byte(p.body))
	}
	message := append(header(p.from.Port(), p.to.Port())[:4], p.body...)
	binary.LittleEndian.PutUint32(message[8:], crc32.Checksum(message, castagnoli))
	return netlab.Packet(p.from.Addr(), p.to.Addr(), p.protocol, message)
}

// parse reads a packet. The checksum of SCTP has to be right (RFC 9260, appendix A).
func parse(packet []byte) (p rawPacket, err error) {
	from, to, message := packet[12:16], packet[16:20], packet[20:]
	if packet[0]>>4 == 6 {
		from, to, message = packet[8:24], packet[24:40], packet[40:]
	}
	source, _ := netip.AddrFromSlice(from)
	destination, _ := netip.AddrFromSlice(to)
	p = rawPacket{protocolOf(packet), netip.AddrPortFrom(source, 0), netip.AddrPortFrom(destination, 0),
		string(message)}
	if p.protocol != protocolSCTP {
		return p, nil
	}
	p.from = netip.AddrPortFrom(source, binary.BigEndian.Uint16(message))
	p.to = netip.AddrPortFrom(destination, binary.BigEndian.Uint16(message[2:]))
	sum := binary.LittleEndian.Uint32(message[8:])
	clear(message[8:12])
	p.body = string(message[4:])
	if want := crc32.Checksum(message, castagnoli); sum != want {
		err = fmt.Errorf("%v has the checksum %#x, want %#x", p, sum, want)
	}
	return p, err
}

// muteKernels keeps the kernels of the client and the backends from answering these protocols.
var muteKernels = stepFunc(func(s *testbed) error {
	for _, h := range s.endHosts() {
		_, err := h.Run(s.ctx, `table inet quiet {
			chain input { type filter hook input priority 0; meta l4proto { 47, 50, 132, 253 } drop; }
		}`, "nft", "-f", "-")
		if err != nil {
			return err
		}
	}
	return nil
})

// endHosts are all machines but the balancer.
func (s *testbed) endHosts() []*netlab.Host { return append([]*netlab.Host{s.Client}, s.Backends...) }

// A received packet has arrived at a machine.
type received struct {
	at *netlab.Host
	rawPacket
}

// A capture reads all packets that arrive at machines, until it is closed.
type capture struct {
	taps    []*netlab.Tap
	packets chan func() (received, error) // each parses a packet
	done    chan struct{}
}

func (s *testbed) capture(machines ...*netlab.Host) (*capture, error) {
	h := &capture{packets: make(chan func() (received, error)), done: make(chan struct{})}
	for _, at := range machines {
		var links []net.Interface
		err := at.Do(func() (err error) {
			links, err = net.Interfaces()
			return err
		})
		for _, link := range links {
			if err == nil && link.Flags&net.FlagLoopback == 0 {
				err = h.listen(at, link.Name)
			}
		}
		if err != nil {
			h.close()
			return nil, err
		}
	}
	return h, nil
}

func (h *capture) listen(at *netlab.Host, link string) error {
	tap, err := at.Tap(link)
	if err != nil {
		return err
	}
	h.taps = append(h.taps, tap)
	go func() {
		for {
			packet, err := tap.Next(time.Hour, func([]byte) bool { return true })
			if err != nil {
				return
			}
			parsed := func() (received, error) {
				p, err := parse(packet)
				return received{at, p}, err
			}
			select {
			case h.packets <- parsed:
			case <-h.done:
				return
			}
		}
	}()
	return nil
}

func (h *capture) close() {
	close(h.done)
	for _, tap := range h.taps {
		tap.Close()
	}
}

// next returns the next packet that fits.
func (h *capture) next(fits func(rawPacket) bool) (received, error) {
	for end := time.After(answerTimeout); ; {
		select {
		case parsed := <-h.packets:
			if got, err := parsed(); fits(got.rawPacket) {
				return got, err
			}
		case <-end:
			return received{}, errors.New("no packet arrives")
		}
	}
}

// hasBody finds packets of a protocol with a body.
func hasBody(protocol byte, body string) func(rawPacket) bool {
	return func(p rawPacket) bool { return p.protocol == protocol && p.body == body }
}

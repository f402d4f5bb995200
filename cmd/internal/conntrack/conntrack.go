// Package conntrack looks at the kernel's connection tracking and cuts connections.
package conntrack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Flow is a tracked connection. Ports are 0 where its protocol has none.
type Flow struct {
	Protocol   int            // its number (IANA)
	To         netip.AddrPort // what it was opened to
	Server     netip.AddrPort // who answers
	Translated bool           // its destination was rewritten
	Closed     bool           // both sides have ended it, and the kernel waits for stragglers

	family uint8
	origin []byte // CTA_TUPLE_ORIG and CTA_ZONE, as the kernel tells them: what an entry is found by
	zone   []byte
	id     []byte
}

// A Sight is which flows to look at: all of a family, or those of IPv4 addresses. The kernel leaves out the others, in
// one walk through all that it has.
type Sight struct {
	Family Family
	Server netip.Addr // who answers
	To     netip.Addr // what they were opened to
}

// A Family is one of the two versions of the Internet Protocol.
type Family uint8

// The two families. The zero Family is IPv4.
const (
	IP4 Family = unix.AF_INET
	IP6 Family = unix.AF_INET6
)

// Each calls do for every flow in sight, until it returns false.
func Each(ctx context.Context, sight Sight, do func(Flow) bool) error {
	req := request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP, uint8(max(sight.Family, IP4)))
	for _, attr := range sight.filter() {
		req.AddData(attr)
	}
	err := req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(message []byte) bool {
		f, ok := parse(message)
		return ctx.Err() == nil && (!ok || do(f))
	})
	if errors.Is(err, nl.ErrDumpInterrupted) { // connections come and go meanwhile
		err = nil
	}
	if err := errors.Join(ctx.Err(), err); err != nil {
		return fmt.Errorf("read connection tracking: %w", err)
	}
	return nil
}

// Cut has the kernel forget the flow: its next packet is that of a new connection. One that is gone is no error.
func Cut(f Flow) error {
	req := request(nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK, f.family)
	req.AddData(nl.NewRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_ORIG, f.origin))
	req.AddData(nl.NewRtAttr(nl.CTA_ID, f.id))
	if f.zone != nil {
		req.AddData(nl.NewRtAttr(nl.CTA_ZONE, f.zone))
	}
	_, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cut a connection to %s: %w", f.Server, err)
	}
	return nil
}

func request(message, flags int, family uint8) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|message, flags)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
	return req
}

// What of linux/netfilter/nfnetlink_conntrack.h the libraries lack: a filter for dumps, since Linux 5.8.
const (
	filter      = 25 // CTA_FILTER
	originFlags = 1  // CTA_FILTER_ORIG_FLAGS
	replyFlags  = 2  // CTA_FILTER_REPLY_FLAGS

	bySource      = 1 << 0 // CTA_FILTER_F_CTA_IP_SRC
	byDestination = 1 << 1 // CTA_FILTER_F_CTA_IP_DST

	dstNAT = 1 << 5 // IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h
)

func (s Sight) filter() []*nl.RtAttr {
	flags := nl.NewRtAttr(unix.NLA_F_NESTED|filter, nil)
	attrs := []*nl.RtAttr{flags}
	if s.To.IsValid() {
		flags.AddRtAttr(originFlags, nl.Uint32Attr(byDestination))
		attrs = append(attrs, tuple(nl.CTA_TUPLE_ORIG, nl.CTA_IP_V4_DST, s.To))
	}
	if s.Server.IsValid() {
		flags.AddRtAttr(replyFlags, nl.Uint32Attr(bySource))
		attrs = append(attrs, tuple(nl.CTA_TUPLE_REPLY, nl.CTA_IP_V4_SRC, s.Server))
	}
	if len(attrs) == 1 {
		return nil
	}
	return attrs
}

func tuple(kind, field int, address netip.Addr) *nl.RtAttr {
	t := nl.NewRtAttr(unix.NLA_F_NESTED|kind, nil)
	t.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_IP, nil).AddRtAttr(field, address.AsSlice())
	return t
}

// parse reads what the kernel says of a flow; not ok if it isn't one that could be one of ours.
func parse(message []byte) (f Flow, ok bool) {
	f.family = message[0]
	attrs := parseAttributes(message[nl.SizeofNfgenmsg:])
	f.origin, f.zone, f.id = attrs[nl.CTA_TUPLE_ORIG], attrs[nl.CTA_ZONE], attrs[nl.CTA_ID]
	origin, reply := parseTuple(f.origin), parseTuple(attrs[nl.CTA_TUPLE_REPLY])
	f.Protocol, f.To, f.Server = origin.protocol, origin.destination, reply.source
	if status := attrs[nl.CTA_STATUS]; len(status) == 4 {
		f.Translated = binary.BigEndian.Uint32(status)&dstNAT != 0
	}
	f.Closed = f.Protocol == unix.IPPROTO_TCP && ended(attrs[nl.CTA_PROTOINFO])
	return f, f.To.Addr().IsValid() && f.Server.Addr().IsValid()
}

// ended reads the state of a TCP connection (enum tcp_conntrack of linux/netfilter/nf_conntrack_tcp.h).
func ended(about []byte) bool {
	const lastAck, closed = 6, 8 // and TIME_WAIT between them
	tcp := parseAttributes(parseAttributes(about)[nl.CTA_PROTOINFO_TCP])
	state := tcp[nl.CTA_PROTOINFO_TCP_STATE]
	return len(state) == 1 && state[0] >= lastAck && state[0] <= closed
}

type parsedTuple struct {
	protocol            int
	source, destination netip.AddrPort
}

func parseTuple(data []byte) parsedTuple {
	var t parsedTuple
	attrs := parseAttributes(data)
	ip, proto := parseAttributes(attrs[nl.CTA_TUPLE_IP]), parseAttributes(attrs[nl.CTA_TUPLE_PROTO])
	if number := proto[nl.CTA_PROTO_NUM]; len(number) == 1 {
		t.protocol = int(number[0])
	}
	t.source = addrPort(ip[nl.CTA_IP_V4_SRC], ip[nl.CTA_IP_V6_SRC], proto[nl.CTA_PROTO_SRC_PORT])
	t.destination = addrPort(ip[nl.CTA_IP_V4_DST], ip[nl.CTA_IP_V6_DST], proto[nl.CTA_PROTO_DST_PORT])
	return t
}

func addrPort(ip4, ip6, port []byte) netip.AddrPort {
	address, ok := netip.AddrFromSlice(ip4)
	if !ok {
		address, _ = netip.AddrFromSlice(ip6)
	}
	if len(port) != 2 {
		return netip.AddrPortFrom(address, 0)
	}
	return netip.AddrPortFrom(address, binary.BigEndian.Uint16(port))
}

// attributes are netlink's by type, as far as there is something to know of them.
type attributes [nl.CTA_ZONE + 1][]byte

// parseAttributes takes no memory: there may be a million flows.
func parseAttributes(data []byte) (attrs attributes) {
	for len(data) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(data))
		kind := binary.NativeEndian.Uint16(data[2:]) & nl.NLA_TYPE_MASK
		if length < unix.SizeofRtAttr || length > len(data) {
			break
		}
		if int(kind) < len(attrs) {
			attrs[kind] = data[unix.SizeofRtAttr:length]
		}
		data = data[min((length+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(data)):]
	}
	return attrs
}

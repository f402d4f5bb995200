// Package conntrack lists, finds and deletes entries of the kernel's connection tracking table.
//
// It knows the netlink protocol (linux/netfilter/nfnetlink_conntrack.h) and nothing of farms: package live decides
// which entries belong to a farm. The kernel filters entries by address itself, which needs Linux 5.8.
//
// A table can hold a million entries, so entries are handed to a function one by one, and parsing allocates no memory
// for attributes.
package conntrack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/compiler/flows"
)

// An Entry is a tracked connection. Ports are 0 if its protocol has none.
type Entry struct {
	Protocol            int            // IANA number
	OriginalSource      netip.AddrPort // the client
	OriginalDestination netip.AddrPort // the frontend, for a connection through a farm
	ReplySource         netip.AddrPort // the backend, for a connection through a farm
	ReplyDestination    netip.AddrPort // the client as the backend sees it: the balancer, with source NAT
	DestinationNAT      bool           // a rule has set its destination (IPS_DST_NAT)
	Answered            bool           // a packet has come in the reply direction (IPS_SEEN_REPLY)
	Zone                int            // of requests (NF_CT_ZONE_DIR_ORIG), or of both directions
	Closed              bool           // TCP in LAST_ACK, TIME_WAIT or CLOSE, SCTP in SHUTDOWN_ACK_SENT or CLOSED
	Counted             bool           // the kernel counts its bytes: see CountsBytes
	Bytes               uint64         // of IP packets in both directions, if Counted

	family uint8
	origin []byte // CTA_TUPLE_ORIG, CTA_ZONE and CTA_ID as the kernel sent them: they identify the entry
	zone   []byte
	id     []byte
}

// Connection gives the entry as the compiler sees it.
func (e Entry) Connection() flows.Connection {
	return flows.Connection{Protocol: e.Protocol, To: e.OriginalDestination, Server: e.ReplySource,
		Translated: e.DestinationNAT, Answered: e.Answered, Zone: e.Zone}
}

// Hash identifies the connection by its original tuple and the identity that the kernel gave it.
func (e Entry) Hash(seed maphash.Seed) uint64 {
	return maphash.Bytes(seed, e.origin) ^ maphash.Bytes(seed, e.id)
}

// AccountingSwitch is the sysctl that has the kernel count the packets and bytes of connections that begin.
const AccountingSwitch = "net.netfilter.nf_conntrack_acct"

// CountsBytes reports whether AccountingSwitch is on.
func CountsBytes() bool {
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(AccountingSwitch, ".", "/"))
	return err == nil && strings.TrimSpace(string(text)) == "1"
}

// A Filter selects entries: all of a family, or the entries with these IPv4 addresses. Zero addresses match all.
type Filter struct {
	Family              Family
	ReplySource         netip.Addr
	OriginalDestination netip.Addr
}

// A Family is one of the two versions of the Internet Protocol.
type Family uint8

// The two families. The zero Family counts as IPv4.
const (
	IP4 Family = unix.AF_INET
	IP6 Family = unix.AF_INET6
)

// Count returns the number of entries of both families in this network namespace, and whether it is known.
func Count() (n int, known bool) {
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if err == nil {
		n, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	return n, err == nil
}

// Dump calls do for every entry that matches the filter, until do returns false. It walks the whole table once.
func Dump(ctx context.Context, filter Filter, do func(Entry) bool) error {
	return dump(ctx, uint8(max(filter.Family, IP4)), filter.attrs(), do)
}

// DumpAll calls do for every entry of both families. It walks the whole table once.
func DumpAll(ctx context.Context, do func(Entry)) error {
	return dump(ctx, unix.AF_UNSPEC, nil, func(e Entry) bool { do(e); return true })
}

// dump asks for no table without entries: one walk through the 262,144 buckets of a large machine, which all network
// namespaces share, takes 9 ms (Linux 6.18).
func dump(ctx context.Context, family uint8, attrs []*nl.RtAttr, do func(Entry) bool) error {
	if n, known := Count(); known && n == 0 {
		return nil
	}
	req := request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP, family)
	for _, attr := range attrs {
		req.AddData(attr)
	}
	err := req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(message []byte) bool {
		e, ok := parseEntry(message)
		return ctx.Err() == nil && (!ok || do(e))
	})
	if errors.Is(err, nl.ErrDumpInterrupted) { // entries were added or deleted during the dump
		err = nil
	}
	if err := errors.Join(ctx.Err(), err); err != nil {
		return fmt.Errorf("read the conntrack table: %w", err)
	}
	return nil
}

// Find returns the entry of a connection of TCP, UDP or SCTP by the addresses of its first packet. It sees no
// connections in zones, and takes the same time in a table of any size. That there is none is no error.
func Find(protocol int, source, destination netip.AddrPort) (e Entry, found bool, err error) {
	family, sourceField, destinationField := IP4, nl.CTA_IP_V4_SRC, nl.CTA_IP_V4_DST
	if source.Addr().Is6() {
		family, sourceField, destinationField = IP6, nl.CTA_IP_V6_SRC, nl.CTA_IP_V6_DST
	}
	t := nl.NewRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_ORIG, nil)
	ip := t.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_IP, nil)
	ip.AddRtAttr(sourceField, source.Addr().AsSlice())
	ip.AddRtAttr(destinationField, destination.Addr().AsSlice())
	ports := t.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_PROTO, nil)
	ports.AddRtAttr(nl.CTA_PROTO_NUM, nl.Uint8Attr(uint8(protocol)))
	ports.AddRtAttr(nl.CTA_PROTO_SRC_PORT, nl.BEUint16Attr(source.Port()))
	ports.AddRtAttr(nl.CTA_PROTO_DST_PORT, nl.BEUint16Attr(destination.Port()))
	req := request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_ACK, uint8(family))
	req.AddData(t)
	err = req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(message []byte) bool {
		e, found = parseEntry(message)
		return false
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return e, false, fmt.Errorf("look for a connection from %s to %s: %w", source, destination, err)
	}
	return e, found, nil
}

// Delete deletes the entry, so that the next packet of the connection starts a new one. A missing entry is no error.
func Delete(e Entry) error {
	req := request(nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK, e.family)
	req.AddData(nl.NewRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_ORIG, e.origin))
	req.AddData(nl.NewRtAttr(nl.CTA_ID, e.id))
	if e.zone != nil {
		req.AddData(nl.NewRtAttr(nl.CTA_ZONE, e.zone))
	}
	_, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete the conntrack entry of a connection to %s: %w", e.ReplySource, err)
	}
	return nil
}

func request(message, flags int, family uint8) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|message, flags)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
	return req
}

// The filter of dumps in linux/netfilter/nfnetlink_conntrack.h, since Linux 5.8, which the libraries lack.
const (
	filterAttribute = 25 // CTA_FILTER
	originFlags     = 1  // CTA_FILTER_ORIG_FLAGS
	replyFlags      = 2  // CTA_FILTER_REPLY_FLAGS

	filterSource      = 1 << 0 // CTA_FILTER_F_CTA_IP_SRC
	filterDestination = 1 << 1 // CTA_FILTER_F_CTA_IP_DST

	// The status of linux/netfilter/nf_conntrack_common.h.
	seenReply = 1 << 1 // IPS_SEEN_REPLY
	dstNAT    = 1 << 5 // IPS_DST_NAT
)

func (f Filter) attrs() []*nl.RtAttr {
	flags := nl.NewRtAttr(unix.NLA_F_NESTED|filterAttribute, nil)
	attrs := []*nl.RtAttr{flags}
	if f.OriginalDestination.IsValid() {
		flags.AddRtAttr(originFlags, nl.Uint32Attr(filterDestination))
		attrs = append(attrs, newTuple(nl.CTA_TUPLE_ORIG, nl.CTA_IP_V4_DST, f.OriginalDestination))
	}
	if f.ReplySource.IsValid() {
		flags.AddRtAttr(replyFlags, nl.Uint32Attr(filterSource))
		attrs = append(attrs, newTuple(nl.CTA_TUPLE_REPLY, nl.CTA_IP_V4_SRC, f.ReplySource))
	}
	if len(attrs) == 1 {
		return nil
	}
	return attrs
}

func newTuple(kind, field int, address netip.Addr) *nl.RtAttr {
	t := nl.NewRtAttr(unix.NLA_F_NESTED|kind, nil)
	t.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_IP, nil).AddRtAttr(field, address.AsSlice())
	return t
}

// parseEntry parses the kernel's description of an entry. It is not ok if an address is missing.
func parseEntry(message []byte) (e Entry, ok bool) {
	e.family = message[0]
	attrs := parseAttributes(message[nl.SizeofNfgenmsg:])
	e.origin, e.zone, e.id = attrs[nl.CTA_TUPLE_ORIG], attrs[nl.CTA_ZONE], attrs[nl.CTA_ID]
	origin, reply := parseTuple(e.origin), parseTuple(attrs[nl.CTA_TUPLE_REPLY])
	e.Protocol, e.OriginalSource, e.Zone = origin.protocol, origin.source, max(origin.zone, zoneOf(e.zone))
	e.OriginalDestination, e.ReplySource, e.ReplyDestination = origin.destination, reply.source, reply.destination
	if status := attrs[nl.CTA_STATUS]; len(status) == 4 {
		e.DestinationNAT = binary.BigEndian.Uint32(status)&dstNAT != 0
		e.Answered = binary.BigEndian.Uint32(status)&seenReply != 0
	}
	e.Bytes, e.Counted = sumOfBytes(attrs[nl.CTA_COUNTERS_ORIG], attrs[nl.CTA_COUNTERS_REPLY])
	e.Closed = isClosed(e.Protocol, parseAttributes(attrs[nl.CTA_PROTOINFO]))
	return e, e.OriginalDestination.Addr().IsValid() && e.ReplySource.Addr().IsValid()
}

// sumOfBytes returns the bytes of both directions. They are not known if the kernel sends no counters.
func sumOfBytes(original, reply []byte) (sum uint64, known bool) {
	for _, counters := range [][]byte{original, reply} {
		if counters == nil {
			return 0, false
		}
		if n := parseAttributes(counters)[nl.CTA_COUNTERS_BYTES]; len(n) == 8 {
			sum += binary.BigEndian.Uint64(n)
		}
	}
	return sum, true
}

// The states of connections that have ended.
const (
	tcpLastAck = 6 // enum tcp_conntrack of linux/netfilter/nf_conntrack_tcp.h; TIME_WAIT is 7
	tcpClose   = 8

	sctpInfo            = 3 // CTA_PROTOINFO_SCTP, and its CTA_PROTOINFO_SCTP_STATE, which the libraries lack
	sctpInfoState       = 1
	sctpClosed          = 1 // enum sctp_conntrack of linux/netfilter/nf_conntrack_sctp.h
	sctpShutdownAckSent = 7
)

// isClosed reports whether a connection has ended, by its CTA_PROTOINFO.
func isClosed(protocol int, info attributes) bool {
	switch protocol {
	case unix.IPPROTO_TCP:
		state := parseAttributes(info[nl.CTA_PROTOINFO_TCP])[nl.CTA_PROTOINFO_TCP_STATE]
		return len(state) == 1 && state[0] >= tcpLastAck && state[0] <= tcpClose
	case unix.IPPROTO_SCTP:
		state := parseAttributes(info[sctpInfo])[sctpInfoState]
		return len(state) == 1 && (state[0] == sctpClosed || state[0] == sctpShutdownAckSent)
	}
	return false
}

type tuple struct {
	protocol            int
	source, destination netip.AddrPort
	zone                int
}

// tupleZone is CTA_TUPLE_ZONE of linux/netfilter/nfnetlink_conntrack.h, which the libraries lack.
const tupleZone = 3

func zoneOf(data []byte) int {
	if len(data) != 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(data))
}

func parseTuple(data []byte) tuple {
	var t tuple
	attrs := parseAttributes(data)
	ip, proto := parseAttributes(attrs[nl.CTA_TUPLE_IP]), parseAttributes(attrs[nl.CTA_TUPLE_PROTO])
	if number := proto[nl.CTA_PROTO_NUM]; len(number) == 1 {
		t.protocol = int(number[0])
	}
	t.zone = zoneOf(attrs[tupleZone])
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

// attributes are the payloads of netlink attributes by type, up to the last type that is used here.
type attributes [nl.CTA_ZONE + 1][]byte

// parseAttributes allocates no memory, because there may be a million entries.
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

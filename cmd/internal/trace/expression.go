package trace

import (
	"encoding/binary"
	"net/netip"

	"farmc/cmd/internal/nfnetlink"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A rule is a list of expressions of nf_tables.
type rule []*nl.RtAttr

const verdictRegister, dataRegister = unix.NFT_REG_VERDICT, unix.NFT_REG_1

// expression makes an expression with its attributes.
func expression(name string, attrs ...*nl.RtAttr) *nl.RtAttr {
	element := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, nil)
	element.AddRtAttr(unix.NFTA_EXPR_NAME, nl.ZeroTerminated(name))
	data := element.AddRtAttr(unix.NLA_F_NESTED|unix.NFTA_EXPR_DATA, nil)
	for _, a := range attrs {
		data.AddChild(a)
	}
	return element
}

func number(kind int, n int) *nl.RtAttr { return nl.NewRtAttr(kind, nl.BEUint32Attr(uint32(n))) }

func number64(kind int, n int) *nl.RtAttr { return nl.NewRtAttr(kind, nl.BEUint64Attr(uint64(n))) }

// value is an attribute with the bytes of a constant.
func value(kind int, bytes []byte) *nl.RtAttr {
	a := nl.NewRtAttr(unix.NLA_F_NESTED|kind, nil)
	a.AddRtAttr(unix.NFTA_DATA_VALUE, bytes)
	return a
}

// compare compares the register with a constant, by one of unix.NFT_CMP_*.
func compare(operation int, bytes []byte) *nl.RtAttr {
	return expression("cmp", number(unix.NFTA_CMP_SREG, dataRegister), number(unix.NFTA_CMP_OP, operation),
		value(unix.NFTA_CMP_DATA, bytes))
}

// load loads a property of the packet, by one of unix.NFT_META_*.
func load(key int) *nl.RtAttr {
	return expression("meta", number(unix.NFTA_META_KEY, key), number(unix.NFTA_META_DREG, dataRegister))
}

// loadHeader loads bytes of a header, which is one of unix.NFT_PAYLOAD_*.
func loadHeader(header, offset, size int) *nl.RtAttr {
	return expression("payload", number(unix.NFTA_PAYLOAD_DREG, dataRegister), number(unix.NFTA_PAYLOAD_BASE, header),
		number(unix.NFTA_PAYLOAD_OFFSET, offset), number(unix.NFTA_PAYLOAD_LEN, size))
}

// mask keeps the bits of a mask.
func mask(bits []byte) *nl.RtAttr {
	return expression("bitwise", number(unix.NFTA_BITWISE_SREG, dataRegister),
		number(unix.NFTA_BITWISE_DREG, dataRegister), number(unix.NFTA_BITWISE_LEN, len(bits)),
		value(unix.NFTA_BITWISE_MASK, bits), value(unix.NFTA_BITWISE_XOR, make([]byte, len(bits))))
}

// isFamily matches the packets of a family. Tables of family netdev know them by the protocol of the frame.
func isFamily(ip6 bool, table uint8) rule {
	family, frame := byte(unix.NFPROTO_IPV4), uint16(unix.ETH_P_IP)
	if ip6 {
		family, frame = unix.NFPROTO_IPV6, unix.ETH_P_IPV6
	}
	if table == unix.NFPROTO_NETDEV {
		return rule{load(unix.NFT_META_PROTOCOL), compare(unix.NFT_CMP_EQ, binary.BigEndian.AppendUint16(nil, frame))}
	}
	return rule{load(unix.NFT_META_NFPROTO), compare(unix.NFT_CMP_EQ, []byte{family})}
}

// inNetwork matches an address in the header of the network layer.
func inNetwork(offset, size int, network netip.Prefix) rule {
	bits := make([]byte, size)
	for i := range network.Bits() {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	return rule{loadHeader(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, size), mask(bits),
		compare(unix.NFT_CMP_EQ, network.Masked().Addr().AsSlice())}
}

// isLocal matches packets to an address of this machine.
func isLocal() rule {
	const addressType, ofDestination = 3, 2 // NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR
	return rule{expression("fib", number(nfnetlink.FibDestinationRegister, dataRegister),
		number(nfnetlink.FibResult, addressType), number(nfnetlink.FibFlags, ofDestination)),
		compare(unix.NFT_CMP_EQ, binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL))}
}

func isProtocol(protocol uint8) rule {
	return rule{load(unix.NFT_META_L4PROTO), compare(unix.NFT_CMP_EQ, []byte{protocol})}
}

// inPorts matches a port in the header of the transport layer.
func inPorts(offset int, ports farm.Ports) rule {
	bytes := func(port uint16) []byte { return binary.BigEndian.AppendUint16(nil, port) }
	return rule{loadHeader(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2),
		compare(unix.NFT_CMP_GTE, bytes(ports.First)), compare(unix.NFT_CMP_LTE, bytes(ports.Last))}
}

// opensNone matches segments of TCP that do not open a connection.
func opensNone() rule {
	const offset, syn, finSynRstAck = 13, 0x02, 0x17
	return append(isProtocol(tcp), loadHeader(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, 1), mask([]byte{finSynRstAck}),
		compare(unix.NFT_CMP_NEQ, []byte{syn}))
}

// isSentTo matches frames to a MAC address.
func isSentTo(mac []byte) rule {
	return rule{loadHeader(unix.NFT_PAYLOAD_LL_HEADER, 0, len(mac)), compare(unix.NFT_CMP_EQ, mac)}
}

// atMost matches so many packets a second, and so many at once.
func atMost(rate, burst int) *nl.RtAttr {
	return expression("limit", number64(unix.NFTA_LIMIT_RATE, rate), number64(unix.NFTA_LIMIT_UNIT, 1),
		number(unix.NFTA_LIMIT_BURST, burst), number(unix.NFTA_LIMIT_TYPE, unix.NFT_LIMIT_PKTS),
		number(unix.NFTA_LIMIT_FLAGS, 0))
}

// mark has the kernel tell each rule that the packet meets from now on.
func mark() rule {
	return rule{
		expression("immediate", number(unix.NFTA_IMMEDIATE_DREG, dataRegister),
			value(unix.NFTA_IMMEDIATE_DATA, []byte{1})),
		expression("meta", number(unix.NFTA_META_KEY, unix.NFT_META_NFTRACE),
			number(unix.NFTA_META_SREG, dataRegister)),
	}
}

// ends ends a rule with a verdict: unix.NFT_RETURN, or NFT_GOTO with a chain.
func ends(code int, chain string) *nl.RtAttr {
	data := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_IMMEDIATE_DATA, nil)
	verdict := data.AddRtAttr(unix.NLA_F_NESTED|unix.NFTA_DATA_VERDICT, nil)
	verdict.AddChild(number(unix.NFTA_VERDICT_CODE, code))
	if chain != "" {
		verdict.AddRtAttr(unix.NFTA_VERDICT_CHAIN, nl.ZeroTerminated(chain))
	}
	return expression("immediate", number(unix.NFTA_IMMEDIATE_DREG, verdictRegister), data)
}

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

// dataRegister is the register of all expressions.
const dataRegister = unix.NFT_REG_1

// compare compares the register with a constant, by one of unix.NFT_CMP_*.
func compare(operation int, bytes []byte) *nl.RtAttr {
	return nfnetlink.Compare(dataRegister, operation, bytes)
}

// load loads a property of the packet, by one of unix.NFT_META_*.
func load(key int) *nl.RtAttr { return nfnetlink.LoadMeta(dataRegister, key) }

// loadHeader loads bytes of a header, which is one of unix.NFT_PAYLOAD_*.
func loadHeader(header, offset, size int) *nl.RtAttr {
	return nfnetlink.LoadHeader(dataRegister, header, offset, size)
}

// mask keeps the bits of a mask.
func mask(bits []byte) *nl.RtAttr {
	return nfnetlink.Expression("bitwise", nfnetlink.Number(unix.NFTA_BITWISE_SREG, dataRegister),
		nfnetlink.Number(unix.NFTA_BITWISE_DREG, dataRegister), nfnetlink.Number(unix.NFTA_BITWISE_LEN, len(bits)),
		nfnetlink.Constant(unix.NFTA_BITWISE_MASK, bits),
		nfnetlink.Constant(unix.NFTA_BITWISE_XOR, make([]byte, len(bits))))
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
	return append(rule{loadHeader(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, size)}, isIn(network)...)
}

// isIn matches an address in the register.
func isIn(network netip.Prefix) rule {
	bits := make([]byte, network.Addr().BitLen()/8)
	for i := range network.Bits() {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	return rule{mask(bits), compare(unix.NFT_CMP_EQ, network.Masked().Addr().AsSlice())}
}

// loadConnection loads a property of the connection, by one of unix.NFT_CT_*.
func loadConnection(key int) *nl.RtAttr {
	return nfnetlink.Expression("ct", nfnetlink.Number(unix.NFTA_CT_KEY, key),
		nfnetlink.Number(unix.NFTA_CT_DREG, dataRegister))
}

// loadOriginal loads a property of the connection's first packet.
func loadOriginal(key int) *nl.RtAttr {
	return nfnetlink.Expression("ct", nfnetlink.Number(unix.NFTA_CT_KEY, key),
		nfnetlink.Number(unix.NFTA_CT_DREG, dataRegister), nl.NewRtAttr(unix.NFTA_CT_DIRECTION, []byte{0}))
}

// isLocal matches packets to an address of this machine.
func isLocal() rule {
	const addressType, ofDestination = 3, 2 // NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR
	return rule{nfnetlink.Expression("fib", nfnetlink.Number(nfnetlink.FibDestinationRegister, dataRegister),
		nfnetlink.Number(nfnetlink.FibResult, addressType), nfnetlink.Number(nfnetlink.FibFlags, ofDestination)),
		compare(unix.NFT_CMP_EQ, binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL))}
}

func isProtocol(protocol uint8) rule {
	return rule{load(unix.NFT_META_L4PROTO), compare(unix.NFT_CMP_EQ, []byte{protocol})}
}

// inPorts matches a port in the header of the transport layer.
func inPorts(offset int, ports farm.Ports) rule {
	return append(rule{loadHeader(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2)}, isBetween(ports)...)
}

// isBetween matches a port in the register.
func isBetween(ports farm.Ports) rule {
	bytes := func(port uint16) []byte { return binary.BigEndian.AppendUint16(nil, port) }
	return rule{compare(unix.NFT_CMP_GTE, bytes(ports.First)), compare(unix.NFT_CMP_LTE, bytes(ports.Last))}
}

// opensNone matches segments of TCP that do not open a connection.
func opensNone() rule {
	const offset, syn, finSynRstAck = 13, 0x02, 0x17
	return append(isProtocol(tcp), loadHeader(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, 1), mask([]byte{finSynRstAck}),
		compare(unix.NFT_CMP_NEQ, []byte{syn}))
}

// opensOrEndsNone matches segments of TCP without the flags syn and rst.
func opensOrEndsNone() rule {
	const offset, synRst = 13, 0x06
	return append(isProtocol(tcp), loadHeader(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, 1), mask([]byte{synRst}),
		compare(unix.NFT_CMP_EQ, []byte{0}))
}

// isSentTo matches frames to a MAC address.
func isSentTo(mac []byte) rule {
	return rule{loadHeader(unix.NFT_PAYLOAD_LL_HEADER, 0, len(mac)), compare(unix.NFT_CMP_EQ, mac)}
}

// atMost matches so many packets a second, and so many at once.
func atMost(rate, burst int) *nl.RtAttr {
	return nfnetlink.Expression("limit", nfnetlink.Number64(unix.NFTA_LIMIT_RATE, rate),
		nfnetlink.Number64(unix.NFTA_LIMIT_UNIT, 1), nfnetlink.Number(unix.NFTA_LIMIT_BURST, burst),
		nfnetlink.Number(unix.NFTA_LIMIT_TYPE, unix.NFT_LIMIT_PKTS), nfnetlink.Number(unix.NFTA_LIMIT_FLAGS, 0))
}

// mark has the kernel tell each rule that the packet meets from now on.
func mark() rule {
	return rule{
		nfnetlink.Expression("immediate", nfnetlink.Number(unix.NFTA_IMMEDIATE_DREG, dataRegister),
			nfnetlink.Constant(unix.NFTA_IMMEDIATE_DATA, []byte{1})),
		nfnetlink.Expression("meta", nfnetlink.Number(unix.NFTA_META_KEY, unix.NFT_META_NFTRACE),
			nfnetlink.Number(unix.NFTA_META_SREG, dataRegister)),
	}
}

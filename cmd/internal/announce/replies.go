package announce

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// Routing rules drop replies of backends from the removal of farmc's nft rules until their guard is loaded. The program
// that removed the rules holds up all other nft transactions for 7 to 130 ms when it closes its socket. Changes of
// routing rules do not wait. Routing rules have no timeout, so that a killed process leaves its own.
//
// The library can make routing rules, too, but writes the protocol as four bytes, and the kernel logs warnings.

// MaxDropRules is the number of routing rules that drop replies: 256 are made in 2 ms. For each packet that the machine
// routes the kernel compares them one by one.
const MaxDropRules = 256

// dropPriority is the preference of routing rules that drop replies: before the rule for the table.
const dropPriority = rulePriority - 1

// DropReplies makes routing rules that drop forwarded packets of the sources. The packets of later fragments have no
// ports, and pass.
func DropReplies(sources []ruleset.ReplySource) error {
	if err := changeDrops(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, sources); err != nil {
		return fmt.Errorf("drop replies by routing rules: %w", err)
	}
	return nil
}

// PassReplies removes the rules of DropReplies, and leftovers of a killed process.
func PassReplies() error {
	var sources []ruleset.ReplySource
	for _, family := range families {
		of := &netlink.Rule{Priority: dropPriority}
		rules, err := netlink.RuleListFiltered(family, of, netlink.RT_FILTER_PRIORITY)
		if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
			return fmt.Errorf("list routing rules: %w", err)
		}
		for _, r := range rules {
			if r.Protocol == uint8(protocol) && r.Src != nil {
				sources = append(sources, sourceOf(r))
			}
		}
	}
	if err := changeDrops(unix.RTM_DELRULE, 0, sources); err != nil {
		return fmt.Errorf("remove routing rules that drop replies: %w", err)
	}
	return nil
}

// sourceOf gives the source of the packets that a rule drops.
func sourceOf(r netlink.Rule) ruleset.ReplySource {
	address, _ := netip.AddrFromSlice(r.Src.IP)
	out := ruleset.ReplySource{Protocol: uint8(r.IPProto), Address: address.Unmap()}
	if r.Sport != nil {
		out.Ports = farm.Ports{First: r.Sport.Start, Last: r.Sport.End}
	}
	return out
}

// changeDrops sends a message for each source, all at once, and waits for the answers. A rule that exists already is no
// error, nor is a rule that is gone, or a family that the kernel does not have.
func changeDrops(message, flags int, sources []ruleset.ReplySource) error {
	if len(sources) == 0 {
		return nil
	}
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer socket.Close()
	var all bytes.Buffer
	var last uint32
	for i, s := range sources {
		if i == len(sources)-1 {
			flags |= unix.NLM_F_ACK // other messages are answered if they are refused
		}
		m := dropMessage(message, flags, s)
		all.Write(m.Serialize())
		last = m.Seq
	}
	if err := socket.SetReceiveTimeout(&unix.Timeval{Sec: 1}); err != nil {
		return err
	}
	if err := unix.Sendto(socket.GetFd(), all.Bytes(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var refused error
	for {
		answers, _, err := socket.Receive()
		if err != nil {
			return err
		}
		for _, m := range answers {
			switch err := nfnetlink.ErrorOf(m); err {
			case nil, unix.EEXIST, unix.ENOENT, unix.EAFNOSUPPORT:
			default:
				refused = err
			}
			if m.Header.Seq == last {
				return refused
			}
		}
	}
}

// dropMessage is a message about the rule that drops packets of a source. Packets to this machine pass: its addresses
// have a rule before.
func dropMessage(message, flags int, s ruleset.ReplySource) *nl.NetlinkRequest {
	m := nl.NewNetlinkRequest(message, flags)
	header := nl.NewRtMsg()
	header.Family, header.Src_len = uint8(netlink.FAMILY_V4), uint8(s.Address.BitLen())
	header.Table, header.Protocol, header.Type = unix.RT_TABLE_UNSPEC, 0, nl.FR_ACT_BLACKHOLE
	if s.Address.Is6() {
		header.Family = uint8(netlink.FAMILY_V6)
	}
	m.AddData(header)
	m.AddData(nl.NewRtAttr(nl.FRA_SRC, s.Address.AsSlice()))
	m.AddData(nl.NewRtAttr(nl.FRA_PRIORITY, nl.Uint32Attr(dropPriority)))
	m.AddData(nl.NewRtAttr(nl.FRA_PROTOCOL, nl.Uint8Attr(uint8(protocol))))
	if s.Protocol != 0 {
		m.AddData(nl.NewRtAttr(nl.FRA_IP_PROTO, nl.Uint8Attr(s.Protocol)))
	}
	if farm.ProtocolOf(int(s.Protocol)).HasPorts() {
		ports := binary.NativeEndian.AppendUint16(nil, s.Ports.First)
		m.AddData(nl.NewRtAttr(nl.FRA_SPORT_RANGE, binary.NativeEndian.AppendUint16(ports, s.Ports.Last)))
	}
	return m
}

package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// A guard of replies is table inet farmc with one chain, which drops packets of some sources that this machine would
// forward. It is sent by netlink, as each millisecond without it costs connections: 100 sources take 0.5 ms, and 10,000
// take 0.2 s. The start of nft alone takes 40 ms or more on a busy machine.
//
// No guard stands before: a flush would leave a table with the flag owner, but as long as that table exists, the kernel
// refuses files that "nft list ruleset" has written (EPERM, seen with nft 1.0.6 on Linux 6.18).

// guardChain is the base chain of a guard. Each rule of it looks up one set.
const guardChain = "stateless-unrewritten"

// guardTime is the time after which a guard drops nothing any more, if farmc is killed before it has restored the
// rules. It is longer than the longest pause between two attempts to restore them.
const guardTime = 2 * time.Minute

// GuardReplies makes table inet farmc as a guard that drops replies from the sources. If the table exists, it stays as
// it is, and loaded is false. The kernel is not asked for the table before: the nft that deleted the table holds up all
// other transactions as soon as it closes its socket, which it does 0.1 to 1 ms after the deletion.
func (n Nft) GuardReplies(ctx context.Context, sources []ruleset.ReplySource) (loaded bool, err error) {
	closeSocket, err := transactOpen(ctx, &guardTable(sources).Batch)
	go closeSocket()
	switch {
	case errors.Is(err, unix.EPERM):
		return false, ErrNotPermitted
	case errors.Is(err, unix.EEXIST):
		return false, nil
	}
	return err == nil, err
}

// guardTable writes the table of a guard.
func guardTable(sources []ruleset.ReplySource) *nfnetlink.Table {
	t := &nfnetlink.Table{Family: unix.NFPROTO_INET, Name: "farmc"}
	t.Create(0)
	t.BaseChain(&nfnetlink.BaseChain{Name: guardChain, Hook: unix.NF_INET_FORWARD})
	keys := map[guardSet][]nfnetlink.Range{}
	for _, source := range sources {
		set := guardSetOf(source)
		keys[set] = append(keys[set], set.key(source))
	}
	for _, set := range guardSets {
		if len(keys[set]) > 0 {
			t.Set(set.declaration(), keys[set])
			t.Rule(guardChain, set.rule()...)
		}
	}
	return t
}

// A guardSet is the form of the keys in a set of sources.
type guardSet struct {
	family   addr.Family
	protocol bool // the keys have the protocol
	ports    bool // the keys have the port
	ranges   bool // the keys are ranges of ports
}

// guardSets are all forms, the most frequent first.
var guardSets = []guardSet{
	{addr.IP4, true, true, false}, {addr.IP6, true, true, false},
	{addr.IP4, true, true, true}, {addr.IP6, true, true, true},
	{addr.IP4, true, false, false}, {addr.IP6, true, false, false},
	{addr.IP4, false, false, false}, {addr.IP6, false, false, false},
}

func guardSetOf(s ruleset.ReplySource) guardSet {
	ports := farm.ProtocolOf(int(s.Protocol)).HasPorts()
	return guardSet{addr.FamilyOf(s.Address), s.Protocol != 0, ports, ports && !s.Ports.Single()}
}

func (g guardSet) name() string {
	name := "addresses"
	switch {
	case g.ranges:
		name = "ranges"
	case g.ports:
		name = "services"
	case g.protocol:
		name = "protocols"
	}
	return "backend-" + name + "-" + g.family.Suffix()
}

// declaration is the set for the keys, which expire.
func (g guardSet) declaration() nfnetlink.Set {
	s := nfnetlink.Set{Name: g.name(), Timeout: guardTime, Ranges: g.ranges}
	if g.protocol {
		s.Fields = append(s.Fields, nfnetlink.ProtocolField)
	}
	s.Fields = append(s.Fields, g.addressField())
	if g.ports {
		s.Fields = append(s.Fields, nfnetlink.PortField)
	}
	return s
}

func (g guardSet) addressField() nfnetlink.Field {
	if g.family == addr.IP6 {
		return nfnetlink.IPv6Field
	}
	return nfnetlink.IPv4Field
}

// key gives the source as the first and the last key, whose fields are padded to 4 bytes.
func (g guardSet) key(s ruleset.ReplySource) nfnetlink.Range {
	var first []byte
	if g.protocol {
		first = append(first, s.Protocol, 0, 0, 0)
	}
	first = append(first, s.Address.AsSlice()...)
	last := first
	if g.ports {
		last = append(binary.BigEndian.AppendUint16(slices.Clip(first), s.Ports.Last), 0, 0)
		first = append(binary.BigEndian.AppendUint16(slices.Clip(first), s.Ports.First), 0, 0)
	}
	return nfnetlink.Range{First: first, Last: last}
}

// rule drops packets whose source is in the set.
func (g guardSet) rule() []*nl.RtAttr {
	family, offset := byte(unix.NFPROTO_IPV4), 12
	if g.family == addr.IP6 {
		family, offset = unix.NFPROTO_IPV6, 8
	}
	next := unix.NFT_REG32_00
	out := []*nl.RtAttr{nfnetlink.LoadMeta(next, unix.NFT_META_NFPROTO),
		nfnetlink.Compare(next, unix.NFT_CMP_EQ, []byte{family})}
	if g.protocol {
		out = append(out, nfnetlink.LoadMeta(next, unix.NFT_META_L4PROTO))
		next++
	}
	size := g.addressField().Size
	out = append(out, nfnetlink.LoadHeader(next, unix.NFT_PAYLOAD_NETWORK_HEADER, offset, size))
	if g.ports {
		next += size / 4
		out = append(out, nfnetlink.LoadHeader(next, unix.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2))
	}
	return append(out, nfnetlink.LookUp(unix.NFT_REG32_00, g.name()), nfnetlink.Verdict(nfnetlink.Drop, ""))
}

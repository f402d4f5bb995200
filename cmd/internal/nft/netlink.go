package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ask puts one question to nf_tables and gives the attributes of each answer, and the family it speaks of.
func ask(ctx context.Context, message, flags int, family uint8, about ...nl.NetlinkRequestData) ([]answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family})
	for _, attr := range about {
		req.AddData(attr)
	}
	messages, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, ErrNotPermitted
	}
	if err != nil && !errors.Is(err, nl.ErrDumpInterrupted) { // somebody loads meanwhile: any moment is as good
		return nil, err
	}
	answers := make([]answer, len(messages))
	for i, m := range messages {
		answers[i] = answer{family: m[0], attributes: parse(m[nl.SizeofNfgenmsg:])}
	}
	return answers, nil
}

// An answer is one object of nf_tables.
type answer struct {
	family     uint8
	attributes attributes
}

// attributes are netlink's, by type.
type attributes map[uint16][]byte

// parse takes what it understands: what the kernel says is well formed, and what lacks is as good as absent.
func parse(data []byte) attributes {
	attrs := attributes{}
	list, _ := nl.ParseRouteAttr(data)
	for _, attr := range list {
		attrs[attr.Attr.Type&nl.NLA_TYPE_MASK] = attr.Value
	}
	return attrs
}

func (a attributes) text(kind uint16) string { return unix.ByteSliceToString(a[kind]) }

// number gives a number of nf_tables, which are big endian, or one that stands for nothing.
func (a attributes) number(kind uint16) uint32 {
	if len(a[kind]) != 4 {
		return math.MaxUint32
	}
	return binary.BigEndian.Uint32(a[kind])
}

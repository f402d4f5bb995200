package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// query sends one request to nf_tables and gives the answers. The message is one of unix.NFT_MSG_*. Without privilege
// the error is ErrNotPermitted.
func query(ctx context.Context, message, flags int, family uint8, attrs ...nl.NetlinkRequestData) ([]answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family})
	for _, attr := range attrs {
		req.AddData(attr)
	}
	messages, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, ErrNotPermitted
	}
	if err != nil && !errors.Is(err, nl.ErrDumpInterrupted) { // interrupted by a load: the answers are of either side
		return nil, err
	}
	answers := make([]answer, len(messages))
	for i, m := range messages {
		answers[i] = answer{family: m[0], attributes: parseAttributes(m[nl.SizeofNfgenmsg:])}
	}
	return answers, nil
}

// An answer describes one object of nf_tables.
type answer struct {
	family     uint8
	attributes attributes
}

// attributes are the payloads of netlink attributes, by type.
type attributes map[uint16][]byte

// parseAttributes parses a list of netlink attributes. The kernel's lists are well formed, so a parse error is ignored,
// and the attributes that are missing then read as absent.
func parseAttributes(data []byte) attributes {
	attrs := attributes{}
	nested, _ := nl.ParseRouteAttr(data)
	for _, attr := range nested {
		attrs[attr.Attr.Type&nl.NLA_TYPE_MASK] = attr.Value
	}
	return attrs
}

func (a attributes) text(kind uint16) string { return unix.ByteSliceToString(a[kind]) }

// number gives a 32-bit number, which is big endian in nf_tables, or math.MaxUint32 if there is none.
func (a attributes) number(kind uint16) uint32 {
	if len(a[kind]) != 4 {
		return math.MaxUint32
	}
	return binary.BigEndian.Uint32(a[kind])
}

// Constants of linux/netfilter/nf_tables.h that golang.org/x/sys/unix lacks.
const (
	tableHandle        = 4  // NFTA_TABLE_HANDLE
	setHandle          = 16 // NFTA_SET_HANDLE
	setElemKeyEnd      = 10 // NFTA_SET_ELEM_KEY_END, the end of a range
	setElemExpressions = 11 // NFTA_SET_ELEM_EXPRESSIONS
	objectHandle       = 6  // NFTA_OBJ_HANDLE
	flowtableTable     = 1  // NFTA_FLOWTABLE_TABLE
	flowtableName      = 2  // NFTA_FLOWTABLE_NAME
	flowtableHandle    = 5  // NFTA_FLOWTABLE_HANDLE
	hookDevs           = 4  // NFTA_HOOK_DEVS, a list of names
)

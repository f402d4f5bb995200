package foreign

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// attributes are the payloads of netlink attributes, by type.
type attributes map[uint16][]byte

// An answer describes one object of nf_tables.
type answer struct {
	family uint8
	attributes
}

// query asks nf_tables for all objects of a kind. A change of the ruleset during the answer is no error: the next look
// sees it.
func query(ctx context.Context, message int, family uint8, attrs ...nl.NetlinkRequestData) ([]answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: family})
	for _, attr := range attrs {
		request.AddData(attr)
	}
	messages, err := request.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil && !errors.Is(err, nl.ErrDumpInterrupted) {
		return nil, err
	}
	answers := make([]answer, len(messages))
	for i, m := range messages {
		answers[i] = answer{m[0], parse(m[nl.SizeofNfgenmsg:])}
	}
	return answers, nil
}

// parse ignores errors, because the kernel's lists are well formed.
func parse(data []byte) attributes {
	all := attributes{}
	nested, _ := nl.ParseRouteAttr(data)
	for _, attr := range nested {
		all[attr.Attr.Type&nl.NLA_TYPE_MASK] = attr.Value
	}
	return all
}

func (a attributes) text(kind uint16) string { return unix.ByteSliceToString(a[kind]) }

// number returns a 32-bit number, which is big endian in nf_tables, or 0 if there is none.
func (a attributes) number(kind uint16) uint32 {
	if len(a[kind]) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(a[kind])
}

// value returns the bytes of a constant.
func (a attributes) value(kind uint16) []byte { return parse(a[kind])[unix.NFTA_DATA_VALUE] }

// devices returns the interfaces of a hook.
func (a attributes) devices() (names []string) {
	const list = 4 // NFTA_HOOK_DEVS
	if one := a.text(unix.NFTA_HOOK_DEV); one != "" {
		names = append(names, one)
	}
	nested, _ := nl.ParseRouteAttr(a[list])
	for _, device := range nested {
		names = append(names, unix.ByteSliceToString(device.Value))
	}
	return names
}

// Package nfnetlink asks the kernel for objects of nf_tables by netlink, and parses the attributes of its messages.
//
// The package knows the form of the messages. It knows no farms. The numbers of messages and attributes are those of
// golang.org/x/sys/unix; constants.go has the ones that are missing there. batch.go sends changes of the ruleset,
// table.go and expression.go write the messages that make a table.
package nfnetlink

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An Answer describes one object of nf_tables.
type Answer struct {
	Family uint8 // unix.NFPROTO_*
	Attributes
}

// Query asks nf_tables for objects of a kind, and returns the answers. The message is one of unix.NFT_MSG_GET*. With
// the flag unix.NLM_F_DUMP it asks for all objects, without flags for one. A change of the ruleset during the answer is
// no error: the answers are of either side. Without CAP_NET_ADMIN the error is unix.EPERM.
func Query(ctx context.Context, message, flags int, family uint8, attrs ...nl.NetlinkRequestData) ([]Answer, error) {
	return QueryUpTo(ctx, math.MaxInt, NewRequest(message, flags, family, attrs...))
}

// ErrTooMany says that there are more answers than asked for.
var ErrTooMany = errors.New("nf_tables has more answers")

// QueryUpTo is Query for a limited number of answers. It keeps none beyond the limit, and then returns ErrTooMany.
func QueryUpTo(ctx context.Context, limit int, request *nl.NetlinkRequest) (answers []Answer, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	full := false
	err = request.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
		if full = len(answers) == limit; !full {
			answers = append(answers, Answer{m[0], ParseMessage(m)})
		}
		return !full
	})
	switch {
	case err != nil && !errors.Is(err, nl.ErrDumpInterrupted):
		return nil, err
	case full:
		return nil, ErrTooMany
	}
	return answers, nil
}

// NewRequest returns a message to nf_tables.
func NewRequest(message, flags int, family uint8, attrs ...nl.NetlinkRequestData) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: family})
	for _, attr := range attrs {
		request.AddData(attr)
	}
	return request
}

// Attributes are the payloads of netlink attributes, by type.
type Attributes map[uint16][]byte

// ParseMessage parses the attributes of a message or notification of nf_tables.
func ParseMessage(m []byte) Attributes { return Parse(m[min(len(m), nl.SizeofNfgenmsg):]) }

// Parse parses a list of netlink attributes. The kernel's lists are well formed, so a parse error is ignored, and the
// attributes that are missing then read as absent.
func Parse(data []byte) Attributes {
	all := Attributes{}
	nested, _ := nl.ParseRouteAttr(data)
	for _, attr := range nested {
		all[attr.Attr.Type&nl.NLA_TYPE_MASK] = attr.Value
	}
	return all
}

// List returns the payloads of a list of attributes of any type, in the order of the list.
func List(data []byte) (values [][]byte) {
	nested, _ := nl.ParseRouteAttr(data)
	for _, attr := range nested {
		values = append(values, attr.Value)
	}
	return values
}

// Text returns a string without its zero byte; "" if there is none.
func (a Attributes) Text(kind uint16) string { return unix.ByteSliceToString(a[kind]) }

// Number returns a 32-bit number, which is big endian in nf_tables; 0 if there is none, because the kernel leaves out
// some numbers that are 0.
func (a Attributes) Number(kind uint16) uint32 {
	if len(a[kind]) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(a[kind])
}

// Number64 returns a 64-bit number; 0 if there is none.
func (a Attributes) Number64(kind uint16) uint64 {
	if len(a[kind]) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(a[kind])
}

// Value returns the bytes of a constant: an address, a port, or another key or operand.
func (a Attributes) Value(kind uint16) []byte { return Parse(a[kind])[unix.NFTA_DATA_VALUE] }

// Devices returns the interfaces of a base chain, by the attributes of its hook.
func (a Attributes) Devices() (names []string) {
	if one := a.Text(unix.NFTA_HOOK_DEV); one != "" {
		names = append(names, one)
	}
	for _, name := range List(a[HookDevices]) {
		names = append(names, unix.ByteSliceToString(name))
	}
	return names
}

package nft

import (
	"cmp"
	"context"
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nfnetlink"
)

// A MapValue is a new value for the key of an element. Both are as the kernel stores them.
type MapValue struct {
	Map        string // of table inet farmc
	Key, Value []byte
}

// SetValues sets values of elements that exist, without their counters, in one transaction. In a user namespace one
// transaction takes some 1,300 values, because the buffer of a socket cannot grow there; more of them are divided.
func (n Nft) SetValues(ctx context.Context, values []MapValue) error {
	if len(values) == 0 {
		return nil
	}
	var b nfnetlink.Batch
	for _, v := range values {
		b.Add(unix.NFT_MSG_DELSETELEM, 0, unix.NFPROTO_INET, valueAttributes(v, false)...)
		b.Add(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, unix.NFPROTO_INET, valueAttributes(v, true)...)
	}
	err := transact(ctx, &b)
	if half := len(values) / 2; errors.Is(err, unix.EMSGSIZE) && half > 0 {
		return cmp.Or(n.SetValues(ctx, values[:half]), n.SetValues(ctx, values[half:]))
	}
	return changeError(err, values[0].Map)
}

// valueAttributes name an element of a map, with its value if it is a new one.
func valueAttributes(v MapValue, isNew bool) []nl.NetlinkRequestData {
	elements := nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_ELEMENTS|unix.NLA_F_NESTED, nil)
	element := elements.AddRtAttr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, nil)
	element.AddRtAttr(unix.NFTA_SET_ELEM_KEY|unix.NLA_F_NESTED, nil).AddRtAttr(unix.NFTA_DATA_VALUE, v.Key)
	if isNew {
		element.AddRtAttr(unix.NFTA_SET_ELEM_DATA|unix.NLA_F_NESTED, nil).AddRtAttr(unix.NFTA_DATA_VALUE, v.Value)
	}
	return []nl.NetlinkRequestData{
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated("farmc")),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(v.Map)),
		elements,
	}
}

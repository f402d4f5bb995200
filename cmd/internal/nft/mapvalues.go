package nft

import (
	"context"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nfnetlink"
)

// A MapValue is a new value for the key of an element. Both are as the kernel stores them.
type MapValue struct {
	Map        string // of table inet farmc
	Key, Value []byte
}

// maxValues is the number of values that one transaction sets: a message with more does not fit into the buffer of a
// socket (net.core.wmem_default, 208 kB).
const maxValues = 500

// SetValues sets values of elements that exist, without their counters. Up to 500 values are set in one transaction.
func (n Nft) SetValues(ctx context.Context, values []MapValue) error {
	for from := 0; from < len(values); from += maxValues {
		part := values[from:min(from+maxValues, len(values))]
		var requests []*nl.NetlinkRequest
		for _, v := range part {
			requests = append(requests,
				nfnetlink.NewRequest(unix.NFT_MSG_DELSETELEM, 0, unix.NFPROTO_INET, valueAttributes(v, false)...),
				nfnetlink.NewRequest(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, unix.NFPROTO_INET,
					valueAttributes(v, true)...))
		}
		if err := transact(ctx, requests); err != nil {
			return changeError(err, part[0].Map)
		}
	}
	return nil
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

package nft

import (
	"context"
	"errors"
	"fmt"
	"time"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A MapElement is an element of a map that packets fill.
type MapElement struct {
	Key, Value []byte        // as the kernel stores them
	Left       time.Duration // until the element expires
}

// MapElements calls do with each element of a map that has not expired. A missing map has none.
func (n Nft) MapElements(ctx context.Context, family, name string, do func(MapElement)) error {
	return eachMapElement(ctx, family, name, func(e nfnetlink.Attributes) {
		do(MapElement{e.Value(unix.NFTA_SET_ELEM_KEY), e.Value(unix.NFTA_SET_ELEM_DATA),
			time.Duration(e.Number64(unix.NFTA_SET_ELEM_EXPIRATION)) * time.Millisecond})
	})
}

// MapValues is MapElements with the value alone.
func (n Nft) MapValues(ctx context.Context, family, name string, do func(value []byte)) error {
	return eachMapElement(ctx, family, name, func(e nfnetlink.Attributes) { do(e.Value(unix.NFTA_SET_ELEM_DATA)) })
}

func eachMapElement(ctx context.Context, family, name string, do func(nfnetlink.Attributes)) error {
	answers, err := listObjects(ctx, unix.NFT_MSG_GETSETELEM, familyNumber(family),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(name)))
	if err != nil {
		return fmt.Errorf("read the elements of %s: %w", name, err)
	}
	for _, a := range answers {
		for _, element := range nfnetlink.List(a.Attributes[unix.NFTA_SET_ELEM_LIST_ELEMENTS]) {
			do(nfnetlink.Parse(element))
		}
	}
	return nil
}

// DeleteElement deletes an element of a map, and reports whether it was there.
func (n Nft) DeleteElement(ctx context.Context, family, name string, key []byte) (bool, error) {
	return n.deleteElements(ctx, family, name, elementAttributes(name, key, nil))
}

// FlushMap deletes all elements of a map. A missing map is no error.
func (n Nft) FlushMap(ctx context.Context, family, name string) error {
	_, err := n.deleteElements(ctx, family, name, []nl.NetlinkRequestData{
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated("farmc")),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(name)),
	})
	return err
}

func (n Nft) deleteElements(ctx context.Context, family, name string, of []nl.NetlinkRequestData) (bool, error) {
	var b nfnetlink.Batch
	b.Add(unix.NFT_MSG_DELSETELEM, 0, familyNumber(family), of...)
	err := transact(ctx, &b)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, changeError(err, name)
}

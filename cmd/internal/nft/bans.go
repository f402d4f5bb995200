package nft

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Ban is an address in a set with timeouts.
type Ban struct {
	Address netip.Addr
	Left    time.Duration // until the element expires, in milliseconds
	ByHand  bool          // added by Nft.Ban, and not by a packet
}

// ErrNoSet is the error for a set that table inet farmc does not hold.
var ErrNoSet = errors.New("there is no such set")

// Bans gives the elements of a set of addresses in table inet farmc, without the expired ones. A missing set has none.
func (n Nft) Bans(ctx context.Context, set string) ([]Ban, error) {
	answers, err := listObjects(ctx, unix.NFT_MSG_GETSETELEM, unix.NFPROTO_INET,
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(set)))
	if err != nil {
		return nil, fmt.Errorf("read the elements of %s: %w", set, err)
	}
	var bans []Ban
	for _, a := range answers {
		for _, e := range nfnetlink.List(a.Attributes[unix.NFTA_SET_ELEM_LIST_ELEMENTS]) {
			if b, ok := readBan(nfnetlink.Parse(e)); ok {
				bans = append(bans, b)
			}
		}
	}
	return bans, nil
}

func readBan(element nfnetlink.Attributes) (Ban, bool) {
	address, ok := netip.AddrFromSlice(nfnetlink.Parse(element[unix.NFTA_SET_ELEM_KEY])[unix.NFTA_DATA_VALUE])
	left := time.Duration(element.Number64(unix.NFTA_SET_ELEM_EXPIRATION)) * time.Millisecond
	return Ban{address, left, bytes.Equal(element[unix.NFTA_SET_ELEM_USERDATA], byHand)}, ok
}

// byHand is the comment of elements that Nft.Ban adds, in the form of libnftnl: type 0, length, and text. nft lists it
// as comment "ban".
var byHand = []byte("\x00\x04ban\x00")

// Ban adds an address to a set of table inet farmc with a timeout, in whole milliseconds. An element that is there
// already gets the new timeout, and Ban gives the time that was left of the old one. In a full set the element replaces
// the one of a packet that expires first. Errors are ErrNoSet, ErrNotPermitted, and that the set is full of elements
// that Ban added.
//
// It uses netlink because nft reads all sets before it adds an element: 20 s if another set has 500,000 networks.
func (n Nft) Ban(ctx context.Context, set string, address netip.Addr, timeout time.Duration) (before time.Duration,
	err error) {
	for range 2 {
		b, banned, err := n.findBan(ctx, set, address)
		if err != nil {
			return 0, err
		}
		milliseconds := binary.BigEndian.AppendUint64(nil, uint64(timeout/time.Millisecond))
		add := elementChange{unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, set, address, milliseconds}
		changes := []elementChange{add}
		if banned {
			changes = []elementChange{{unix.NFT_MSG_DELSETELEM, 0, set, address, nil}, add}
		}
		err = commit(ctx, changes)
		if errors.Is(err, unix.ENFILE) {
			err = n.replaceBan(ctx, add)
		}
		if !errors.Is(err, unix.ENOENT) || !banned { // else the element expired since findBan: try again
			return b.Left, changeError(err, set)
		}
	}
	return 0, fmt.Errorf("ban %s: %w", address, unix.EAGAIN)
}

// replaceBan adds an element to a full set in place of the element of a packet that expires first. It does both in one
// transaction, because packets fill a set again at once: the kernel does not count deleted elements of the transaction
// (ndeact of nft_add_set_elem in net/netfilter/nf_tables_api.c).
func (n Nft) replaceBan(ctx context.Context, add elementChange) error {
	bans, err := n.Bans(ctx, add.set)
	if err != nil {
		return err
	}
	bans = slices.DeleteFunc(bans, func(b Ban) bool { return b.ByHand || b.Address == add.address })
	slices.SortFunc(bans, func(a, b Ban) int { return cmp.Compare(a.Left, b.Left) })
	err = unix.ENFILE
	for _, b := range bans {
		err = commit(ctx, []elementChange{{unix.NFT_MSG_DELSETELEM, 0, add.set, b.Address, nil}, add})
		if !errors.Is(err, unix.ENOENT) { // else the element expired meanwhile
			break
		}
	}
	return err
}

// Unban deletes an address from a set of table inet farmc. It tells whether the address was there. Errors are as for
// Ban.
func (n Nft) Unban(ctx context.Context, set string, address netip.Addr) (bool, error) {
	_, banned, err := n.findBan(ctx, set, address)
	if err != nil || !banned {
		return false, err
	}
	err = commit(ctx, []elementChange{{unix.NFT_MSG_DELSETELEM, 0, set, address, nil}})
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return true, changeError(err, set)
}

// BanOf gives the time that is left of the ban of an address; 0 if it is not banned, or if there is no such set.
func (n Nft) BanOf(ctx context.Context, set string, address netip.Addr) (time.Duration, error) {
	b, _, err := n.findBan(ctx, set, address)
	if errors.Is(err, ErrNoSet) {
		return 0, nil
	}
	return b.Left, err
}

// findBan gives the element of the address, and tells whether there is one. A missing set is ErrNoSet.
func (n Nft) findBan(ctx context.Context, set string, address netip.Addr) (Ban, bool, error) {
	sets, err := query(ctx, unix.NFT_MSG_GETSET, 0, unix.NFPROTO_INET,
		nl.NewRtAttr(unix.NFTA_SET_TABLE, nl.ZeroTerminated("farmc")),
		nl.NewRtAttr(unix.NFTA_SET_NAME, nl.ZeroTerminated(set)))
	if errors.Is(err, unix.ENOENT) || err == nil && len(sets) == 0 {
		return Ban{}, false, ErrNoSet
	}
	if err != nil {
		return Ban{}, false, changeError(err, set)
	}
	answers, err := query(ctx, unix.NFT_MSG_GETSETELEM, 0, unix.NFPROTO_INET,
		elementAttributes(set, address.AsSlice(), nil)...)
	if errors.Is(err, unix.ENOENT) || err == nil && len(answers) == 0 {
		return Ban{}, false, nil
	}
	if err != nil {
		return Ban{}, false, changeError(err, set)
	}
	list := nfnetlink.Parse(answers[0].Attributes[unix.NFTA_SET_ELEM_LIST_ELEMENTS])
	b, ok := readBan(nfnetlink.Parse(list[unix.NFTA_LIST_ELEM]))
	return b, ok, nil
}

// changeError names the set in the error of a change.
func changeError(err error, set string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return ErrNotPermitted
	case errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%s is full of bans by hand", set)
	}
	return fmt.Errorf("change %s: %w", set, err)
}

// elementAttributes name one element of a set, in a query or a change. The timeout is nil except for a new element.
func elementAttributes(set string, key, timeout []byte) []nl.NetlinkRequestData {
	elements := nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_ELEMENTS|unix.NLA_F_NESTED, nil)
	element := elements.AddRtAttr(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, nil)
	element.AddRtAttr(unix.NFTA_SET_ELEM_KEY|unix.NLA_F_NESTED, nil).AddRtAttr(unix.NFTA_DATA_VALUE, key)
	if timeout != nil {
		element.AddRtAttr(unix.NFTA_SET_ELEM_TIMEOUT, timeout)
		element.AddRtAttr(unix.NFTA_SET_ELEM_USERDATA, byHand)
	}
	return []nl.NetlinkRequestData{
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated("farmc")),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(set)),
		elements,
	}
}

// An elementChange adds or deletes one element.
type elementChange struct {
	message, flags int // NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM; NLM_F_CREATE for a new element
	set            string
	address        netip.Addr
	timeout        []byte // in milliseconds, big endian; nil for none
}

// commit makes the changes in one transaction.
func commit(ctx context.Context, changes []elementChange) error {
	var b nfnetlink.Batch
	for _, c := range changes {
		b.Add(c.message, c.flags, unix.NFPROTO_INET, elementAttributes(c.set, c.address.AsSlice(), c.timeout)...)
	}
	return transact(ctx, &b)
}

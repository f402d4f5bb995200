package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Ban is an address in a set of table inet farmc, and how long it stays there.
type Ban struct {
	Address netip.Addr
	Left    time.Duration
}

// What of linux/netfilter/nf_tables.h a set of addresses with a time is made of.
const (
	elementTimeout    = 4 // NFTA_SET_ELEM_TIMEOUT
	elementExpiration = 5 // NFTA_SET_ELEM_EXPIRATION
)

// ErrNoSet says that the kernel holds no such set.
var ErrNoSet = errors.New("there is no such set")

// Bans gives all that is in a set of addresses. Those whose time is over are not among them.
func (n Nft) Bans(ctx context.Context, set string) ([]Ban, error) {
	answers, err := list(ctx, unix.NFT_MSG_GETSETELEM, unix.NFPROTO_INET, nl.NewRtAttr(elementsOfSet, nl.ZeroTerminated(set)))
	if err != nil {
		return nil, fmt.Errorf("ask for the elements of %s: %w", set, err)
	}
	var bans []Ban
	for _, a := range answers {
		elements, _ := nl.ParseRouteAttr(a.attributes[elementList])
		for _, e := range elements {
			if b, ok := readBan(parse(e.Value)); ok {
				bans = append(bans, b)
			}
		}
	}
	return bans, nil
}

func readBan(element attributes) (Ban, bool) {
	address, ok := netip.AddrFromSlice(parse(element[elementKey])[dataValue])
	return Ban{address, time.Duration(element.number64(elementExpiration)) * time.Millisecond}, ok
}

// Ban puts an address into a set for that long, whether it is there already or not; if it was, it gives how long it
// would have stayed. The kernel is asked without nft, which reads other sets before it adds to one: with 500,000
// networks in somebody's, that takes 20 s.
func (n Nft) Ban(ctx context.Context, set string, address netip.Addr, long time.Duration) (before time.Duration, err error) {
	for range 2 {
		b, banned, err := n.banned(ctx, set, address)
		if err != nil {
			return 0, err
		}
		timeout := binary.BigEndian.AppendUint64(nil, uint64(long/time.Millisecond))
		changes := []setChange{{unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, set, address, timeout}}
		if banned {
			changes = append([]setChange{{unix.NFT_MSG_DELSETELEM, 0, set, address, nil}}, changes...)
		}
		err = change(ctx, changes)
		if !errors.Is(err, unix.ENOENT) || !banned { // else its time has just come
			return b.Left, inWords(err, set)
		}
	}
	return 0, fmt.Errorf("ban %s: %w", address, unix.EAGAIN)
}

// Unban takes an address out of a set. It says whether it was there.
func (n Nft) Unban(ctx context.Context, set string, address netip.Addr) (bool, error) {
	_, banned, err := n.banned(ctx, set, address)
	if err != nil || !banned {
		return false, err
	}
	err = change(ctx, []setChange{{unix.NFT_MSG_DELSETELEM, 0, set, address, nil}})
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return true, inWords(err, set)
}

// banned says whether the address is in the set, and how long it stays.
func (n Nft) banned(ctx context.Context, set string, address netip.Addr) (Ban, bool, error) {
	sets, err := ask(ctx, unix.NFT_MSG_GETSET, 0, unix.NFPROTO_INET, nl.NewRtAttr(unix.NFTA_SET_TABLE, nl.ZeroTerminated("farmc")),
		nl.NewRtAttr(unix.NFTA_SET_NAME, nl.ZeroTerminated(set)))
	if errors.Is(err, unix.ENOENT) || err == nil && len(sets) == 0 {
		return Ban{}, false, ErrNoSet
	}
	if err != nil {
		return Ban{}, false, inWords(err, set)
	}
	answers, err := ask(ctx, unix.NFT_MSG_GETSETELEM, 0, unix.NFPROTO_INET, oneElement(set, address, nil)...)
	if errors.Is(err, unix.ENOENT) || err == nil && len(answers) == 0 {
		return Ban{}, false, nil
	}
	if err != nil {
		return Ban{}, false, inWords(err, set)
	}
	b, ok := readBan(parse(parse(answers[0].attributes[elementList])[listElement]))
	return b, ok, nil
}

func inWords(err error, set string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return ErrNotPermitted
	case errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%s is full", set)
	}
	return fmt.Errorf("change %s: %w", set, err)
}

func oneElement(set string, address netip.Addr, timeout []byte) []nl.NetlinkRequestData {
	elements := nl.NewRtAttr(elementList|unix.NLA_F_NESTED, nil)
	element := elements.AddRtAttr(listElement|unix.NLA_F_NESTED, nil)
	element.AddRtAttr(elementKey|unix.NLA_F_NESTED, nil).AddRtAttr(dataValue, address.AsSlice())
	if timeout != nil {
		element.AddRtAttr(elementTimeout, timeout)
	}
	return []nl.NetlinkRequestData{
		nl.NewRtAttr(elementsOfTable, nl.ZeroTerminated("farmc")),
		nl.NewRtAttr(elementsOfSet, nl.ZeroTerminated(set)),
		elements,
	}
}

// A setChange adds or deletes an element.
type setChange struct {
	message, flags int
	set            string
	address        netip.Addr
	timeout        []byte
}

// change makes changes in one transaction, all or none.
func change(ctx context.Context, changes []setChange) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer socket.Close()
	message := batchMark(unix.NFNL_MSG_BATCH_BEGIN)
	for i, c := range changes {
		req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|c.message, c.flags)
		if i == len(changes)-1 {
			req.Flags |= unix.NLM_F_ACK
		}
		req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_INET})
		for _, attr := range oneElement(c.set, c.address, c.timeout) {
			req.AddData(attr)
		}
		message = append(message, req.Serialize()...)
	}
	message = append(message, batchMark(unix.NFNL_MSG_BATCH_END)...)
	if err := unix.Sendto(socket.GetFd(), message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	return acknowledged(socket)
}

// batchMark begins or ends a transaction.
func batchMark(kind int) []byte {
	req := nl.NewNetlinkRequest(kind, 0)
	subsystem := binary.BigEndian.AppendUint16(nil, unix.NFNL_SUBSYS_NFTABLES)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, ResId: binary.NativeEndian.Uint16(subsystem)})
	return req.Serialize()
}

// acknowledged waits for the first answer that tells how it went: of a transaction that fails, that of its first fault.
func acknowledged(socket *nl.NetlinkSocket) error {
	timeout := unix.NsecToTimeval(int64(10 * time.Second))
	if err := socket.SetReceiveTimeout(&timeout); err != nil {
		return err
	}
	for {
		messages, _, err := socket.Receive()
		if err != nil {
			return err
		}
		for _, m := range messages {
			if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
				continue
			}
			if number := int32(binary.NativeEndian.Uint32(m.Data)); number != 0 {
				return unix.Errno(-number)
			}
			return nil
		}
	}
}

package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An Element is one of a set or map of farmc's, by its key as the kernel has it: each field is padded to a multiple of
// four bytes.
type Element struct {
	Family string
	Set    string
	Key    []byte
}

// A Count is what an element has counted.
type Count struct{ Packets, Bytes uint64 }

// Counts gives what elements have counted; one that isn't there, or doesn't count, has counted nothing. Each costs a
// question (5 µs on Linux 6.18), whatever the size of the set: nft would read all elements of all sets.
func (n Nft) Counts(ctx context.Context, elements []Element) ([]Count, error) {
	counts := make([]Count, len(elements))
	if len(elements) == 0 {
		return counts, nil
	}
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	defer socket.Close()
	sockets := map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: {Socket: socket}}
	for i, e := range elements {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if counts[i], err = e.count(sockets); err != nil {
			return nil, fmt.Errorf("read counters of %s: %w", e.Set, err)
		}
	}
	return counts, nil
}

// What a question for elements is made of (linux/netfilter/nf_tables.h).
const (
	listElement     = 1 // NFTA_LIST_ELEM
	dataValue       = 1 // NFTA_DATA_VALUE
	elementExpr     = 7 // NFTA_SET_ELEM_EXPR
	elementExprs    = 11
	expressionData  = 2 // NFTA_EXPR_DATA
	expressionName  = 1 // NFTA_EXPR_NAME
	counterBytes    = 1 // NFTA_COUNTER_BYTES
	counterPackets  = 2 // NFTA_COUNTER_PACKETS
	elementKey      = 1 // NFTA_SET_ELEM_KEY
	elementsOfTable = 1 // NFTA_SET_ELEM_LIST_TABLE
	elementsOfSet   = 2 // NFTA_SET_ELEM_LIST_SET
	elementList     = 3 // NFTA_SET_ELEM_LIST_ELEMENTS
	objectData      = 4 // NFTA_OBJ_DATA
	counterObject   = 1 // NFT_OBJECT_COUNTER
)

func (e Element) count(sockets map[int]*nl.SocketHandle) (Count, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETSETELEM, 0)
	req.Sockets = sockets
	family := uint8(unix.NFPROTO_INET)
	if e.Family == "netdev" {
		family = unix.NFPROTO_NETDEV
	}
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family})
	req.AddData(nl.NewRtAttr(elementsOfTable, nl.ZeroTerminated("farmc")))
	req.AddData(nl.NewRtAttr(elementsOfSet, nl.ZeroTerminated(e.Set)))
	list := nl.NewRtAttr(elementList|unix.NLA_F_NESTED, nil)
	list.AddRtAttr(listElement|unix.NLA_F_NESTED, nil).
		AddRtAttr(elementKey|unix.NLA_F_NESTED, nil).
		AddRtAttr(dataValue, e.Key)
	req.AddData(list)
	answers, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if errors.Is(err, unix.ENOENT) {
		return Count{}, nil
	}
	if err != nil || len(answers) == 0 {
		return Count{}, err
	}
	elements := parse(parse(answers[0][nl.SizeofNfgenmsg:])[elementList])
	return countOf(parse(elements[listElement])), nil
}

func countOf(element attributes) Count {
	expressions := [][]byte{element[elementExpr]}
	list, _ := nl.ParseRouteAttr(element[elementExprs])
	for _, attr := range list {
		expressions = append(expressions, attr.Value)
	}
	for _, expression := range expressions {
		if parts := parse(expression); parts.text(expressionName) == "counter" {
			data := parse(parts[expressionData])
			return Count{data.number64(counterPackets), data.number64(counterBytes)}
		}
	}
	return Count{}
}

// ObjectCounts gives what the counters of table inet farmc that have a name have counted.
func (n Nft) ObjectCounts(ctx context.Context) (map[string]Count, error) {
	answers, err := list(ctx, unix.NFT_MSG_GETOBJ, unix.NFPROTO_INET, nl.NewRtAttr(objectType, binary.BigEndian.AppendUint32(nil, counterObject)))
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	counts := map[string]Count{}
	for _, a := range answers {
		if a.attributes.number(objectType) == counterObject {
			data := parse(a.attributes[objectData])
			counts[a.attributes.text(objectName)] = Count{data.number64(counterPackets), data.number64(counterBytes)}
		}
	}
	return counts, nil
}

// number64 gives a number of 64 bits, or 0.
func (a attributes) number64(kind uint16) uint64 {
	if len(a[kind]) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(a[kind])
}

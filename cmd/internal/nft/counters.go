package nft

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An Element names an element of a set or map of farmc.
type Element struct {
	Family string // of the table: inet or netdev
	Set    string
	Key    []byte // as the kernel stores it: each field is padded to a multiple of four bytes
}

// A Counter is the state of a counter of an element or of a counter object.
type Counter struct{ Packets, Bytes uint64 }

// Counters gives the counters of the elements, in the same order. A missing element, or one without a counter, has the
// zero Counter. Each element costs a query, 5 µs on Linux 6.18 for a set of any size; nft would read all elements of
// all sets.
func (n Nft) Counters(ctx context.Context, elements []Element) ([]Counter, error) {
	counts := make([]Counter, len(elements))
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

// Attributes of elements and counters (linux/netfilter/nf_tables.h).
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

// count reads the counter of the element.
func (e Element) count(sockets map[int]*nl.SocketHandle) (Counter, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETSETELEM, 0)
	req.Sockets = sockets
	family := uint8(unix.NFPROTO_INET)
	if e.Family == "netdev" {
		family = unix.NFPROTO_NETDEV
	}
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family})
	req.AddData(nl.NewRtAttr(elementsOfTable, nl.ZeroTerminated("farmc")))
	req.AddData(nl.NewRtAttr(elementsOfSet, nl.ZeroTerminated(e.Set)))
	nested := nl.NewRtAttr(elementList|unix.NLA_F_NESTED, nil)
	nested.AddRtAttr(listElement|unix.NLA_F_NESTED, nil).
		AddRtAttr(elementKey|unix.NLA_F_NESTED, nil).
		AddRtAttr(dataValue, e.Key)
	req.AddData(nested)
	answers, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if errors.Is(err, unix.ENOENT) {
		return Counter{}, nil
	}
	if err != nil || len(answers) == 0 {
		return Counter{}, err
	}
	elements := parseAttributes(parseAttributes(answers[0][nl.SizeofNfgenmsg:])[elementList])
	return counterOf(parseAttributes(elements[listElement])), nil
}

// counterOf finds the counter among the expressions of an element.
func counterOf(element attributes) Counter {
	expressions := [][]byte{element[elementExpr]}
	nested, _ := nl.ParseRouteAttr(element[elementExprs])
	for _, attr := range nested {
		expressions = append(expressions, attr.Value)
	}
	for _, expression := range expressions {
		if parts := parseAttributes(expression); parts.text(expressionName) == "counter" {
			data := parseAttributes(parts[expressionData])
			return Counter{data.number64(counterPackets), data.number64(counterBytes)}
		}
	}
	return Counter{}
}

// NamedCounters gives the counter objects of table inet farmc by their names.
func (n Nft) NamedCounters(ctx context.Context) (map[string]Counter, error) {
	answers, err := listObjects(ctx, unix.NFT_MSG_GETOBJ, unix.NFPROTO_INET,
		nl.NewRtAttr(objectType, binary.BigEndian.AppendUint32(nil, counterObject)))
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	counts := map[string]Counter{}
	for _, a := range answers {
		if a.attributes.number(objectType) == counterObject {
			data := parseAttributes(a.attributes[objectData])
			counts[a.attributes.text(objectName)] = Counter{data.number64(counterPackets), data.number64(counterBytes)}
		}
	}
	return counts, nil
}

// number64 gives a 64-bit number, or 0 if there is none.
func (a attributes) number64(kind uint16) uint64 {
	if len(a[kind]) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(a[kind])
}

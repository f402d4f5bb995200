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
	counters := make([]Counter, len(elements))
	if len(elements) == 0 {
		return counters, nil
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
		if counters[i], err = e.count(sockets); err != nil {
			return nil, fmt.Errorf("read counters of %s: %w", e.Set, err)
		}
	}
	return counters, nil
}

// count reads the counter of the element.
func (e Element) count(sockets map[int]*nl.SocketHandle) (Counter, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETSETELEM, 0)
	req.Sockets = sockets
	req.AddData(&nl.Nfgenmsg{NfgenFamily: familyNumber(e.Family)})
	for _, attr := range elementAttributes(e.Set, e.Key, nil) {
		req.AddData(attr)
	}
	answers, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if errors.Is(err, unix.ENOENT) {
		return Counter{}, nil
	}
	if err != nil || len(answers) == 0 {
		return Counter{}, err
	}
	elements := parseAttributes(parseAttributes(answers[0][nl.SizeofNfgenmsg:])[unix.NFTA_SET_ELEM_LIST_ELEMENTS])
	return counterOf(parseAttributes(elements[unix.NFTA_LIST_ELEM])), nil
}

// counterOf finds the counter among the expressions of an element.
func counterOf(element attributes) Counter {
	expressions := [][]byte{element[unix.NFTA_SET_ELEM_EXPR]}
	nested, _ := nl.ParseRouteAttr(element[setElemExpressions])
	for _, attr := range nested {
		expressions = append(expressions, attr.Value)
	}
	for _, expression := range expressions {
		if parts := parseAttributes(expression); parts.text(unix.NFTA_EXPR_NAME) == "counter" {
			return newCounter(parts[unix.NFTA_EXPR_DATA])
		}
	}
	return Counter{}
}

// newCounter parses the attributes of a counter.
func newCounter(data []byte) Counter {
	attrs := parseAttributes(data)
	return Counter{attrs.number64(unix.NFTA_COUNTER_PACKETS), attrs.number64(unix.NFTA_COUNTER_BYTES)}
}

// NamedCounters gives the counter objects of table inet farmc by their names.
func (n Nft) NamedCounters(ctx context.Context) (map[string]Counter, error) {
	answers, err := listObjects(ctx, unix.NFT_MSG_GETOBJ, unix.NFPROTO_INET,
		nl.NewRtAttr(unix.NFTA_OBJ_TYPE, binary.BigEndian.AppendUint32(nil, unix.NFT_OBJECT_COUNTER)))
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	counters := map[string]Counter{}
	for _, a := range answers {
		if a.attributes.number(unix.NFTA_OBJ_TYPE) == unix.NFT_OBJECT_COUNTER {
			counters[a.attributes.text(unix.NFTA_OBJ_NAME)] = newCounter(a.attributes[unix.NFTA_OBJ_DATA])
		}
	}
	return counters, nil
}

// number64 gives a 64-bit number, or 0 if there is none.
func (a attributes) number64(kind uint16) uint64 {
	if len(a[kind]) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(a[kind])
}

// MapValues calls do with the value of each element of a map that has not expired. A missing map has none.
func (n Nft) MapValues(ctx context.Context, family, name string, do func(value []byte)) error {
	answers, err := listObjects(ctx, unix.NFT_MSG_GETSETELEM, familyNumber(family),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(name)))
	if err != nil {
		return fmt.Errorf("read the elements of %s: %w", name, err)
	}
	for _, a := range answers {
		elements, _ := nl.ParseRouteAttr(a.attributes[unix.NFTA_SET_ELEM_LIST_ELEMENTS])
		for _, e := range elements {
			do(parseAttributes(parseAttributes(e.Value)[unix.NFTA_SET_ELEM_DATA])[unix.NFTA_DATA_VALUE])
		}
	}
	return nil
}

// familyNumber gives the kernel's number of the family of a table.
func familyNumber(family string) uint8 {
	if family == "netdev" {
		return unix.NFPROTO_NETDEV
	}
	return unix.NFPROTO_INET
}

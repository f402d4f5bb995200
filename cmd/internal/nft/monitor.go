package nft

import (
	"context"
	"fmt"
	"slices"
	"syscall"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"farmc/compiler/diag"
)

// A Transaction is a change of farmc's tables by any process.
type Transaction struct {
	Process string // program and process ID, as in "nft, process 123", or "an unknown process"; printable
	Lost    bool   // notifications were lost, so farmc's tables may have been changed or not; all else is unknown

	Program    string   // name of the program (comm), at most 15 bytes
	Generation uint32   // of the ruleset after the transaction
	Sets       []string // the sets with changed elements, if nothing else was changed; nil otherwise
	Gone       bool     // table inet farmc was deleted, and not made anew
}

// Generation gives the generation ID of the ruleset, which grows by one with each transaction of any process.
func (n Nft) Generation(ctx context.Context) (uint32, error) {
	answers, err := query(ctx, unix.NFT_MSG_GETGEN, 0, unix.NFPROTO_UNSPEC)
	if err != nil || len(answers) == 0 {
		return 0, fmt.Errorf("read the generation of the ruleset: %w", err)
	}
	return answers[0].Number(unix.NFTA_GEN_ID), nil
}

// Monitor sends every transaction that changes farmc's tables from now on. The channel is closed when ctx is done.
// Elements that packets add, counters, and elements that expire are no transactions. Monitor uses no CPU time while the
// ruleset stays the same.
func (n Nft) Monitor(ctx context.Context) (<-chan Transaction, error) {
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	if err != nil {
		return nil, fmt.Errorf("subscribe to changes of the ruleset: %w", err)
	}
	// A transaction that adds 100,000 addresses is 10 MB of messages. If the kernel grants a smaller buffer, messages
	// are lost, and the next transaction has Lost set.
	socket.SetReceiveBufferSize(16<<20, true)
	context.AfterFunc(ctx, socket.Close)
	transactions := make(chan Transaction)
	go func() {
		defer close(transactions)
		var r reader
		for ctx.Err() == nil {
			messages, _, err := socket.Receive()
			for _, transaction := range r.read(messages, err) {
				select {
				case transactions <- transaction:
				case <-ctx.Done():
				}
			}
		}
	}()
	return transactions, nil
}

// A reader makes transactions of notifications. The kernel sends the changes first and the new generation last.
type reader struct {
	touched      bool     // the current transaction changes farmc's tables
	otherChanges bool     // it changes more than elements of sets
	sets         []string // sets with changed elements
	gone         bool     // it has deleted table inet farmc, so far
}

// note adds a notification about a table of farmc to the current transaction.
func (r *reader) note(m syscall.NetlinkMessage) {
	r.touched = true
	switch kind := m.Header.Type & 0xff; kind {
	case unix.NFT_MSG_NEWTABLE, unix.NFT_MSG_DELTABLE:
		if m.Data[0] == unix.NFPROTO_INET {
			r.gone = kind == unix.NFT_MSG_DELTABLE
		}
		r.otherChanges, r.sets = true, nil
	case unix.NFT_MSG_NEWSETELEM, unix.NFT_MSG_DELSETELEM:
	default:
		r.otherChanges, r.sets = true, nil
	}
	if r.otherChanges {
		return
	}
	set := nfnetlink.ParseMessage(m.Data).Text(unix.NFTA_SET_ELEM_LIST_SET)
	if !slices.Contains(r.sets, set) {
		r.sets = append(r.sets, set)
	}
}

// read gives the transactions that end in these notifications. An error of the socket means that some were lost.
func (r *reader) read(messages []syscall.NetlinkMessage, err error) (transactions []Transaction) {
	if err != nil {
		*r = reader{}
		return []Transaction{{Process: "an unknown process", Lost: true}}
	}
	for _, m := range messages {
		switch {
		case m.Header.Type != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN:
			if concernsFarmc(m.Data) {
				r.note(m)
			}
		case r.touched:
			transactions = append(transactions, r.end(nfnetlink.ParseMessage(m.Data)))
		}
	}
	return transactions
}

// end gives the current transaction, which the new generation ends, and begins the next.
func (r *reader) end(generation nfnetlink.Attributes) Transaction {
	program := generation.Text(unix.NFTA_GEN_PROC_NAME)
	done := Transaction{
		Process:    fmt.Sprintf("%s, process %d", diag.Printable(program), generation.Number(unix.NFTA_GEN_PROC_PID)),
		Program:    program,
		Generation: generation.Number(unix.NFTA_GEN_ID),
		Sets:       r.sets,
		Gone:       r.gone,
	}
	*r = reader{}
	return done
}

// concernsFarmc tells whether a notification is about a table of farmc. The name of the table is the first attribute of
// every notification of nf_tables, with type 1.
func concernsFarmc(message []byte) bool {
	const name = "farmc\x00"
	at := nl.SizeofNfgenmsg + unix.SizeofRtAttr
	return len(message) >= at+len(name) && (message[0] == unix.NFPROTO_INET || message[0] == unix.NFPROTO_NETDEV) &&
		string(message[at:at+len(name)]) == name &&
		nl.NativeEndian().Uint16(message[nl.SizeofNfgenmsg+2:])&nl.NLA_TYPE_MASK == 1
}

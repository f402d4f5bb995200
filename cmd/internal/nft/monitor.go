package nft

import (
	"context"
	"fmt"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Commit is a transaction that touched farmc's tables, whoever made it.
type Commit struct {
	By   string // the program and its process id, as the kernel tells them, or that these are not known
	Lost bool   // the kernel told more than could be heard: farmc's tables may be touched, or not

	Program    string
	Generation uint32   // of the rules, which each transaction makes one later
	Sets       []string // of which it changed elements, and nothing else; nil where it changed more
}

// Generation gives the number of transactions that the kernel has taken, of whomever.
func (n Nft) Generation(ctx context.Context) (uint32, error) {
	answers, err := ask(ctx, unix.NFT_MSG_GETGEN, 0, unix.NFPROTO_UNSPEC)
	if err != nil || len(answers) == 0 {
		return 0, fmt.Errorf("ask for the generation of the rules: %w", err)
	}
	return answers[0].attributes.number(unix.NFTA_GEN_ID), nil
}

// Listen gives every transaction that touches farmc's tables from now on, until ctx is done; others' are none. What
// packets do (to a set of theirs, to counters) and what times out is no transaction. It costs nothing while nobody
// changes rules.
func (n Nft) Listen(ctx context.Context) (<-chan Commit, error) {
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	if err != nil {
		return nil, fmt.Errorf("listen for changes of rules: %w", err)
	}
	// Somebody's list of 100,000 addresses is 10 MB of messages. Where the kernel does not give so much room, some are
	// lost, which is told.
	socket.SetReceiveBufferSize(16<<20, true)
	context.AfterFunc(ctx, socket.Close)
	commits := make(chan Commit)
	go func() {
		defer close(commits)
		var e ear
		for ctx.Err() == nil {
			messages, _, err := socket.Receive()
			for _, c := range e.hear(messages, err) {
				select {
				case commits <- c:
				case <-ctx.Done():
				}
			}
		}
	}()
	return commits, nil
}

// An ear makes transactions of messages: what they change comes first, the new generation last.
type ear struct {
	touched, beyond bool // farmc's tables; more than elements of sets
	sets            []string
}

// note takes in what was changed in a table of farmc.
func (e *ear) note(m syscall.NetlinkMessage) {
	e.touched = true
	switch m.Header.Type & 0xff {
	case unix.NFT_MSG_NEWSETELEM, unix.NFT_MSG_DELSETELEM:
	default:
		e.beyond, e.sets = true, nil
	}
	if e.beyond {
		return
	}
	if set := parse(m.Data[nl.SizeofNfgenmsg:]).text(unix.NFTA_SET_ELEM_LIST_SET); !slices.Contains(e.sets, set) {
		e.sets = append(e.sets, set)
	}
}

func (e *ear) hear(messages []syscall.NetlinkMessage, err error) (commits []Commit) {
	if err != nil {
		*e = ear{}
		return []Commit{{By: "nobody knows who", Lost: true}}
	}
	for _, m := range messages {
		switch {
		case m.Header.Type != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN:
			if oursIn(m.Data) {
				e.note(m)
			}
		case e.touched:
			by := parse(m.Data[nl.SizeofNfgenmsg:])
			program := by.text(unix.NFTA_GEN_PROC_NAME)
			commits = append(commits, Commit{By: fmt.Sprintf("%s, process %d", program, by.number(unix.NFTA_GEN_PROC_PID)),
				Program: program, Generation: by.number(unix.NFTA_GEN_ID), Sets: e.sets})
			*e = ear{}
		}
	}
	return commits
}

// oursIn says whether a message speaks of a table of farmc: its name is the first attribute of all that nf_tables tells.
func oursIn(message []byte) bool {
	const name = "farmc\x00"
	at := nl.SizeofNfgenmsg + unix.SizeofRtAttr
	return len(message) >= at+len(name) && (message[0] == unix.NFPROTO_INET || message[0] == unix.NFPROTO_NETDEV) &&
		string(message[at:at+len(name)]) == name && nl.NativeEndian().Uint16(message[nl.SizeofNfgenmsg+2:])&nl.NLA_TYPE_MASK == 1
}

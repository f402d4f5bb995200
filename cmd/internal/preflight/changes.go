package preflight

import (
	"context"
	"time"

	"farmc/cmd/internal/nfnetlink"
	"farmc/cmd/internal/pause"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Times of Changes.
const (
	period    = 30 * time.Second // between two looks without a notification: not every sysctl has one
	quietTime = time.Second      // after a notification, as changes come in groups
)

// Changes reports that findings may have changed: at changes of interfaces, addresses, forwarding, rules for routes,
// filters of tc and rules of other programs, and every 30 seconds. It reports at most once a second. The channel is
// closed when ctx is done.
func Changes(ctx context.Context) (<-chan struct{}, error) {
	network, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR,
		unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
		unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_TC)
	if err != nil {
		return nil, err
	}
	rules, err := nl.Subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	if err != nil {
		network.Close()
		return nil, err
	}
	events := make(chan struct{}, 1)
	for _, socket := range []*nl.NetlinkSocket{network, rules} {
		context.AfterFunc(ctx, socket.Close)
		go receive(ctx, socket, events)
	}
	changes := make(chan struct{})
	go pace(ctx, events, changes)
	return changes, nil
}

func receive(ctx context.Context, socket *nl.NetlinkSocket, events chan<- struct{}) {
	for ctx.Err() == nil {
		messages, _, err := socket.Receive()
		matters := err != nil // the buffer was full, so there were changes
		for _, m := range messages {
			matters = matters || concernsOthers(m.Header.Type, m.Data)
		}
		if matters {
			select {
			case events <- struct{}{}:
			default:
			}
		}
		if err != nil {
			pause.For(ctx, quietTime)
		}
	}
}

// concernsOthers reports whether a notification matters: each one of the network, and those about tables, chains and
// rules of other programs. Programs that ban clients change elements all the time.
func concernsOthers(kind uint16, data []byte) bool {
	if kind>>8 != unix.NFNL_SUBSYS_NFTABLES {
		return true
	}
	switch kind & 0xff {
	case unix.NFT_MSG_NEWTABLE, unix.NFT_MSG_DELTABLE, unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_DELCHAIN,
		unix.NFT_MSG_NEWRULE, unix.NFT_MSG_DELRULE:
	default:
		return false
	}
	const table = 1 // NFTA_TABLE_NAME, NFTA_CHAIN_TABLE and NFTA_RULE_TABLE
	return nfnetlink.ParseMessage(data).Text(table) != "farmc"
}

// pace sends a change after each group of events, and after each period.
func pace(ctx context.Context, events <-chan struct{}, changes chan<- struct{}) {
	defer close(changes)
	for ctx.Err() == nil {
		select {
		case <-events:
			pause.For(ctx, quietTime)
			select {
			case <-events:
			default:
			}
		case <-time.After(period):
		case <-ctx.Done():
			return
		}
		select {
		case changes <- struct{}{}:
		case <-ctx.Done():
		}
	}
}

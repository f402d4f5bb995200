package watch

import (
	"context"
	"fmt"

	"farmc/cmd/internal/pause"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Network sends when an interface, address, route or routing rule may have been created, deleted or changed, and no
// further change followed for 100 ms, or after 2 s of changes. It reports every change after it has returned. The
// channel is closed when ctx is done.
func Network(ctx context.Context) (<-chan struct{}, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE)
	if err != nil {
		return nil, fmt.Errorf("subscribe to changes of the network: %w", err)
	}
	context.AfterFunc(ctx, socket.Close)
	changes := make(chan struct{})
	go func() {
		defer close(changes)
		for ctx.Err() == nil {
			// The error is ENOBUFS: the socket's buffer was full, so there were changes.
			if _, _, err := socket.Receive(); err != nil {
				pause.For(ctx, quietTime)
			}
			notify(ctx, changes)
		}
	}()
	return settle(changes, func() bool { return false }), nil
}

package watch

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Links sends on the channel when a network interface may have come, gone or changed its name or state, and then all
// was quiet. What changes after Links returned is told. The channel is closed when ctx is done.
func Links(ctx context.Context) (<-chan struct{}, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
	if err != nil {
		return nil, fmt.Errorf("listen for network interfaces: %w", err)
	}
	context.AfterFunc(ctx, socket.Close)
	changes := make(chan struct{})
	go func() {
		defer close(changes)
		for ctx.Err() == nil {
			// An error is that the kernel had more to say than the socket holds (ENOBUFS), so there was something.
			if _, _, err := socket.Receive(); err != nil {
				pause(ctx, quiet)
			}
			tell(ctx, changes)
		}
	}()
	return settle(changes, func() bool { return false }), nil
}

package nft

import (
	"context"
	"errors"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// query is nfnetlink.Query. Without privilege the error is ErrNotPermitted.
func query(ctx context.Context, message, flags int, family uint8, attrs ...nl.NetlinkRequestData) ([]nfnetlink.Answer,
	error) {
	answers, err := nfnetlink.Query(ctx, message, flags, family, attrs...)
	if errors.Is(err, unix.EPERM) {
		return nil, ErrNotPermitted
	}
	return answers, err
}

// familyNumber gives the kernel's number of the family of a table.
func familyNumber(family string) uint8 {
	if family == "netdev" {
		return unix.NFPROTO_NETDEV
	}
	return unix.NFPROTO_INET
}

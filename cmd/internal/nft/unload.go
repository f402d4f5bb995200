package nft

import (
	"context"
	"errors"
	"fmt"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Unload deletes farmc's tables in one transaction, and reports whether there was one.
func (n Nft) Unload(ctx context.Context) (bool, error) {
	var b nfnetlink.Batch
	found := false
	for _, family := range []uint8{unix.NFPROTO_INET, unix.NFPROTO_NETDEV} {
		name := nl.NewRtAttr(unix.NFTA_TABLE_NAME, nl.ZeroTerminated("farmc"))
		_, err := query(ctx, unix.NFT_MSG_GETTABLE, 0, family, name)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("find the tables of farmc: %w", err)
		}
		b.Add(unix.NFT_MSG_DELTABLE, 0, family, name)
		found = true
	}
	if !found {
		return false, nil
	}
	err := transact(ctx, &b)
	if errors.Is(err, unix.EPERM) {
		return true, ErrNotPermitted
	}
	if err != nil {
		return true, fmt.Errorf("delete the tables of farmc: %w", err)
	}
	return true, nil
}

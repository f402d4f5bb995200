package nft

import (
	"context"
	"fmt"
	"slices"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// IngressDevices gives the network interfaces with an ingress hook of farmc's chains, in alphabetical order. The kernel
// deletes the hook with its interface, sends no notification of it, and does not restore it with the interface.
func (n Nft) IngressDevices(ctx context.Context) ([]string, error) {
	var devices []string
	for _, family := range []uint8{unix.NFPROTO_NETDEV, unix.NFPROTO_INET} {
		answers, err := query(ctx, unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, family)
		if err != nil {
			return nil, fmt.Errorf("read the chains at ingress: %w", err)
		}
		for _, a := range answers {
			if a.Text(unix.NFTA_CHAIN_TABLE) == "farmc" {
				devices = append(devices, nfnetlink.Parse(a.Attributes[unix.NFTA_CHAIN_HOOK]).Devices()...)
			}
		}
	}
	slices.Sort(devices)
	return slices.Compact(devices), nil
}

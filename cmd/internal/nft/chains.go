package nft

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Chain is a chain of another program.
type Chain struct {
	Family string // ip, ip6 or inet
	Table  string
	Name   string
}

// ForeignDrops gives the base chains of other programs at hook forward with policy drop. They drop the packets of a
// farm unless a rule of theirs accepts them, because no rule of farmc can overrule a drop.
func (n Nft) ForeignDrops(ctx context.Context) ([]Chain, error) {
	answers, err := query(ctx, unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, unix.NFPROTO_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("read the chains: %w", err)
	}
	var drops []Chain
	for _, a := range answers {
		c := Chain{forwardFamilies[a.family], a.attributes.text(unix.NFTA_CHAIN_TABLE),
			a.attributes.text(unix.NFTA_CHAIN_NAME)}
		if c.Family != "" && c.Table != "farmc" && a.attributes.dropsForwarded() {
			drops = append(drops, c)
		}
	}
	return drops, nil
}

// forwardFamilies are the families with a forward hook that routed packets pass.
var forwardFamilies = map[uint8]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}

// dropsForwarded tells whether a chain is a base chain at hook forward with policy drop. Other chains have no hook and
// no policy.
func (a attributes) dropsForwarded() bool {
	const drop = 0 // NF_DROP
	hook := parseAttributes(a[unix.NFTA_CHAIN_HOOK])
	return hook.number(unix.NFTA_HOOK_HOOKNUM) == unix.NF_INET_FORWARD && a.number(unix.NFTA_CHAIN_POLICY) == drop
}

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
			if a.attributes.text(unix.NFTA_CHAIN_TABLE) == "farmc" {
				hook := parseAttributes(a.attributes[unix.NFTA_CHAIN_HOOK])
				devices = append(devices, names(hook[hookDevs])...)
			}
		}
	}
	slices.Sort(devices)
	return slices.Compact(devices), nil
}

// names gives the values of all attributes of a list, of any type.
func names(data []byte) []string {
	var out []string
	nested, _ := nl.ParseRouteAttr(data)
	for _, attr := range nested {
		out = append(out, unix.ByteSliceToString(attr.Value))
	}
	return out
}

package nft

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Chain is a chain of anybody's.
type Chain struct {
	Family string // ip, ip6 or inet
	Table  string
	Name   string
}

// ForeignDrops gives the chains of others that drop whatever is forwarded and not let through by a rule of theirs:
// a farm's packets meet them whatever farmc loads.
func (n Nft) ForeignDrops(ctx context.Context) ([]Chain, error) {
	answers, err := ask(ctx, unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, unix.NFPROTO_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("ask for the chains: %w", err)
	}
	var drops []Chain
	for _, a := range answers {
		c := Chain{routed[a.family], a.attributes.text(unix.NFTA_CHAIN_TABLE), a.attributes.text(unix.NFTA_CHAIN_NAME)}
		if c.Family != "" && c.Table != "farmc" && a.attributes.dropForwarded() {
			drops = append(drops, c)
		}
	}
	return drops, nil
}

// routed are the families whose forward hook a routed packet passes.
var routed = map[uint8]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}

// dropForwarded tells a base chain at hook forward with policy drop; other chains have neither hook nor policy.
func (a attributes) dropForwarded() bool {
	const drop = 0 // NF_DROP
	hook := parse(a[unix.NFTA_CHAIN_HOOK])
	return hook.number(unix.NFTA_HOOK_HOOKNUM) == unix.NF_INET_FORWARD && a.number(unix.NFTA_CHAIN_POLICY) == drop
}

// IngressDevices gives the network interfaces at whose ingress farmc's chains hang, in the order of their names. One
// that vanishes takes its hook with it, silently, and comes back without.
func (n Nft) IngressDevices(ctx context.Context) ([]string, error) {
	var devices []string
	for _, family := range []uint8{unix.NFPROTO_NETDEV, unix.NFPROTO_INET} {
		answers, err := ask(ctx, unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, family)
		if err != nil {
			return nil, fmt.Errorf("ask for the chains at ingress: %w", err)
		}
		for _, a := range answers {
			if a.attributes.text(unix.NFTA_CHAIN_TABLE) == "farmc" {
				hook := parse(a.attributes[unix.NFTA_CHAIN_HOOK])
				devices = append(devices, texts(hook[hookDevices])...)
			}
		}
	}
	slices.Sort(devices)
	return slices.Compact(devices), nil
}

// hookDevices is NFTA_HOOK_DEVS of linux/netfilter/nf_tables.h: a list of names.
const hookDevices = 4

// texts gives all attributes of a list, whatever their type.
func texts(data []byte) []string {
	var out []string
	list, _ := nl.ParseRouteAttr(data)
	for _, attr := range list {
		out = append(out, unix.ByteSliceToString(attr.Value))
	}
	return out
}

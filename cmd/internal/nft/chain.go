package nft

import (
	"context"
	"fmt"

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

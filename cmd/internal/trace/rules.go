package trace

import (
	"context"
	"errors"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A kernelRule is a rule as the kernel has it.
type kernelRule struct {
	handle  uint64
	index   int             // in its chain, from 0
	of      int             // the number of rules in the chain
	objects []string        // names of counters, limits and others
	sets    []string        // names of sets and maps that are asked or filled
	does    map[string]bool // the kernel's names of its expressions
	fills   bool            // it adds to a set, or renews an element
}

// dynsetDelete is NFT_DYNSET_OP_DELETE of linux/netfilter/nf_tables.h.
const dynsetDelete = 2

// A baseChain is the place of a base chain.
type baseChain struct {
	kind     string // filter, nat or route
	hook     string // nft's name
	priority int32
	devices  []string
}

// A ruleReader asks the kernel for rules and chains, once for each.
type ruleReader struct {
	rules  map[chainID][]kernelRule
	chains map[chainID]baseChain
}

func newRuleReader() *ruleReader { return &ruleReader{rules: map[chainID][]kernelRule{}} }

// rule returns a rule by its handle. It asks the kernel again if the chain was loaded anew since; false if the rule is
// gone.
func (r *ruleReader) rule(ctx context.Context, chain chainID, handle uint64) (kernelRule, bool) {
	if found, ok := find(r.rules[chain], handle); ok {
		return found, true
	}
	rules, err := readRules(ctx, chain)
	if err != nil {
		return kernelRule{}, false
	}
	r.rules[chain] = rules
	return find(rules, handle)
}

func find(rules []kernelRule, handle uint64) (kernelRule, bool) {
	for _, r := range rules {
		if r.handle == handle {
			return r, true
		}
	}
	return kernelRule{}, false
}

func readRules(ctx context.Context, chain chainID) (out []kernelRule, err error) {
	answers, err := nfnetlink.Query(ctx, unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, chain.family,
		nl.NewRtAttr(unix.NFTA_RULE_TABLE, nl.ZeroTerminated(chain.table)),
		nl.NewRtAttr(unix.NFTA_RULE_CHAIN, nl.ZeroTerminated(chain.name)))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	for _, a := range answers {
		if (chainID{a.Family, a.Text(unix.NFTA_RULE_TABLE), a.Text(unix.NFTA_RULE_CHAIN)}) == chain {
			out = append(out, readRule(a, len(out)))
		}
	}
	for i := range out {
		out[i].of = len(out)
	}
	return out, nil
}

func readRule(a nfnetlink.Answer, index int) kernelRule {
	r := kernelRule{handle: a.Number64(unix.NFTA_RULE_HANDLE), index: index, does: map[string]bool{}}
	for _, e := range nfnetlink.List(a.Attributes[unix.NFTA_RULE_EXPRESSIONS]) {
		x := nfnetlink.Parse(e)
		name, data := x.Text(unix.NFTA_EXPR_NAME), nfnetlink.Parse(x[unix.NFTA_EXPR_DATA])
		r.does[name] = true
		switch name {
		case "objref":
			r.objects = append(r.objects, data.Text(unix.NFTA_OBJREF_IMM_NAME))
		case "lookup":
			r.sets = append(r.sets, data.Text(unix.NFTA_LOOKUP_SET))
		case "dynset":
			r.sets = append(r.sets, data.Text(unix.NFTA_DYNSET_SET_NAME))
			if data.Number(unix.NFTA_DYNSET_OP) != dynsetDelete {
				r.fills = true
			}
		}
	}
	return r
}

// inetIngress is NF_INET_INGRESS, which golang.org/x/sys/unix lacks.
const inetIngress = 5

// hookNames are nft's names of the hooks in tables of family inet, ip and ip6.
var hookNames = map[uint32]string{unix.NF_INET_PRE_ROUTING: "prerouting", unix.NF_INET_LOCAL_IN: "input",
	unix.NF_INET_FORWARD: "forward", unix.NF_INET_LOCAL_OUT: "output", unix.NF_INET_POST_ROUTING: "postrouting",
	inetIngress: "ingress"}

// base returns the place of a base chain; false for other chains, and for chains that are gone.
func (r *ruleReader) base(ctx context.Context, chain chainID) (baseChain, bool) {
	if found, ok := r.chains[chain]; ok {
		return found, true
	}
	r.chains = readBaseChains(ctx)
	found, ok := r.chains[chain]
	return found, ok
}

func readBaseChains(ctx context.Context) map[chainID]baseChain {
	out := map[chainID]baseChain{}
	answers, err := nfnetlink.Query(ctx, unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, unix.NFPROTO_UNSPEC)
	if err != nil {
		return out
	}
	for _, a := range answers {
		hook := nfnetlink.Parse(a.Attributes[unix.NFTA_CHAIN_HOOK])
		if len(hook) == 0 {
			continue
		}
		number := hook.Number(unix.NFTA_HOOK_HOOKNUM)
		name := hookNames[number]
		if a.Family == unix.NFPROTO_NETDEV {
			name = map[uint32]string{unix.NF_NETDEV_INGRESS: "ingress", unix.NF_NETDEV_EGRESS: "egress"}[number]
		}
		out[chainID{a.Family, a.Text(unix.NFTA_CHAIN_TABLE), a.Text(unix.NFTA_CHAIN_NAME)}] = baseChain{
			a.Text(unix.NFTA_CHAIN_TYPE), name, int32(hook.Number(unix.NFTA_HOOK_PRIORITY)), hook.Devices()}
	}
	return out
}

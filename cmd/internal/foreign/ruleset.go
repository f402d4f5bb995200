// Package foreign reads the nft rules of other programs and computes the outcome of a chain for a packet.
//
// The package knows netlink, the expressions of nf_tables, and the matches and targets of iptables-nft. It knows no
// farms, and it changes nothing. A match on a named set is undecided if the set is large, or if its elements have a
// timeout or come from rules.
//
// Read (ruleset.go) reads all chains and rules once. Evaluate (evaluate.go) follows a Packet (packet.go) through a base
// chain and through its jumps; expression.go, elements.go, queue.go and xtables.go compute single expressions on the
// registers of register.go, and mark.go the marks that rules set on the way. A result is remembered for all packets
// that the table cannot tell apart.
package foreign

import (
	"context"
	"errors"
	"fmt"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Ruleset has the chains of other programs, and the base chains of farmc.
type Ruleset struct {
	Chains []*Chain        // base chains of other programs that the kernel asks
	Own    []*Chain        // base chains of farmc, without rules
	Links  map[string]Link // interfaces by name; an absent one is unknown
	Work   int             // the number of rules that were computed, and of packets, so far

	chains map[chainID]*Chain
	sets   map[setID]*set
	uses   map[chainID]usage // by table
	memory map[question]Result
	queues *queues
}

// A Link is an interface as rules see it.
type Link struct {
	Index int
	Group uint32
	Type  uint16 // unix.ARPHRD_*; 0: unknown
	Kind  string // as ip link add names it; "": unknown, or a real interface
}

type chainID struct {
	family      uint8
	table, name string
}

// A Chain is a chain with its rules.
type Chain struct {
	Family   uint8 // unix.NFPROTO_*
	Table    string
	Name     string
	Owned    bool   // only the process that created the table may change it
	Created  uint64 // order in which the tables were created: a later one has a larger number
	Type     string // of a base chain: filter, nat or route
	Hook     uint32 // of a base chain: unix.NF_INET_*
	Priority int32  // of a base chain
	Devices  []string

	policy verdict
	rules  []rule
}

// A rule is a list of expressions.
type rule []expression

// Read reads the rules of all other programs in the network namespace of the thread. It needs CAP_NET_ADMIN.
func Read(ctx context.Context) (*Ruleset, error) {
	r := &Ruleset{chains: map[chainID]*Chain{}, sets: map[setID]*set{},
		uses: map[chainID]usage{}, Links: map[string]Link{}, memory: map[question]Result{},
		queues: readQueues()}
	tables, err := nfnetlink.Query(ctx, unix.NFT_MSG_GETTABLE, unix.NLM_F_DUMP, unix.NFPROTO_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("read the tables of other programs: %w", err)
	}
	byID := map[chainID]nfnetlink.Answer{}
	for _, t := range tables {
		byID[chainID{t.Family, t.Text(unix.NFTA_TABLE_NAME), ""}] = t
	}
	chains, err := nfnetlink.Query(ctx, unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, unix.NFPROTO_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("read the chains of other programs: %w", err)
	}
	for _, c := range chains {
		r.addChain(c, byID)
	}
	for table := range byID {
		if table.table != "farmc" {
			err = errors.Join(err, r.addRules(ctx, table))
		}
	}
	return r, err
}

func (r *Ruleset) addChain(a nfnetlink.Answer, tables map[chainID]nfnetlink.Answer) {
	c := &Chain{Family: a.Family, Table: a.Text(unix.NFTA_CHAIN_TABLE), Name: a.Text(unix.NFTA_CHAIN_NAME)}
	table := tables[chainID{a.Family, c.Table, ""}].Attributes
	flags := table.Number(unix.NFTA_TABLE_FLAGS)
	c.Owned = flags&nfnetlink.TableOwned != 0
	c.Created = table.Number64(nfnetlink.TableHandle)
	hook := nfnetlink.Parse(a.Attributes[unix.NFTA_CHAIN_HOOK])
	if len(hook) > 0 {
		c.Type, c.Hook = a.Text(unix.NFTA_CHAIN_TYPE), hook.Number(unix.NFTA_HOOK_HOOKNUM)
		c.Priority = int32(hook.Number(unix.NFTA_HOOK_PRIORITY))
		c.Devices = hook.Devices()
		if c.policy = accepted; a.Number(unix.NFTA_CHAIN_POLICY) == 0 && len(a.Attributes[unix.NFTA_CHAIN_POLICY]) > 0 {
			c.policy = dropped
		}
		switch {
		case c.Table == "farmc":
			r.Own = append(r.Own, c)
		case flags&nfnetlink.TableDormant == 0: // the kernel asks no chain of a dormant table
			r.Chains = append(r.Chains, c)
		}
	}
	r.chains[chainID{c.Family, c.Table, c.Name}] = c
}

// addRules reads the rules of one table. The kernel deletes a table at any time, so a missing one has no rules.
func (r *Ruleset) addRules(ctx context.Context, table chainID) error {
	answers, err := nfnetlink.Query(ctx, unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, table.family,
		nl.NewRtAttr(unix.NFTA_RULE_TABLE, nl.ZeroTerminated(table.table)))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("read the rules of table %q: %w", table.table, err)
	}
	for _, a := range answers {
		id := chainID{a.Family, a.Text(unix.NFTA_RULE_TABLE), a.Text(unix.NFTA_RULE_CHAIN)}
		if c := r.chains[id]; c != nil && id.table == table.table && id.family == table.family {
			c.rules = append(c.rules, expressions(a.Attributes[unix.NFTA_RULE_EXPRESSIONS]))
		}
	}
	return nil
}

func expressions(list []byte) (all rule) {
	for _, e := range nfnetlink.List(list) {
		a := nfnetlink.Parse(e)
		all = append(all, compile(a.Text(unix.NFTA_EXPR_NAME), nfnetlink.Parse(a[unix.NFTA_EXPR_DATA])))
	}
	return all
}

// Has reports whether the table of the chain has another chain of this name.
func (r *Ruleset) Has(beside *Chain, name string) bool {
	return r.chains[chainID{beside.Family, beside.Table, name}] != nil
}

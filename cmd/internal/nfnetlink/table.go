package nfnetlink

import (
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// A Table writes the messages that make a table with its objects.
type Table struct {
	Batch
	Family uint8 // unix.NFPROTO_*
	Name   string

	sets int // that were made
}

// Create makes the table, which must not exist. One with the flag TableOwned goes with the socket that sends the batch.
func (t *Table) Create(flags int) {
	t.Add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, t.Family,
		Text(unix.NFTA_TABLE_NAME, t.Name), Number(unix.NFTA_TABLE_FLAGS, flags))
}

// Chain makes a chain that other chains lead to.
func (t *Table) Chain(name string) {
	t.Add(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, t.Family,
		Text(unix.NFTA_CHAIN_TABLE, t.Name), Text(unix.NFTA_CHAIN_NAME, name))
}

// A BaseChain is a chain at a hook, of type filter.
type BaseChain struct {
	Name     string
	Hook     int // unix.NF_INET_*, NF_NETDEV_* or NetdevEgress
	Priority int32
	Devices  []string // of a hook of family netdev
}

// BaseChain makes a base chain, whose policy is accept.
func (t *Table) BaseChain(c *BaseChain) {
	t.Add(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, t.Family,
		Text(unix.NFTA_CHAIN_TABLE, t.Name), Text(unix.NFTA_CHAIN_NAME, c.Name), c.hook(),
		Text(unix.NFTA_CHAIN_TYPE, "filter"))
}

func (c *BaseChain) hook() *nl.RtAttr {
	a := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_CHAIN_HOOK, nil)
	a.AddChild(Number(unix.NFTA_HOOK_HOOKNUM, c.Hook))
	a.AddRtAttr(unix.NFTA_HOOK_PRIORITY, nl.BEUint32Attr(uint32(c.Priority)))
	if len(c.Devices) > 0 {
		all := a.AddRtAttr(unix.NLA_F_NESTED|HookDevices, nil)
		for _, name := range c.Devices {
			all.AddChild(Text(deviceName, name))
		}
	}
	return a
}

// Rule adds a rule to the end of a chain.
func (t *Table) Rule(chain string, expressions ...*nl.RtAttr) {
	list := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_RULE_EXPRESSIONS, nil)
	for _, e := range expressions {
		list.AddChild(e)
	}
	t.Add(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, t.Family,
		Text(unix.NFTA_RULE_TABLE, t.Name), Text(unix.NFTA_RULE_CHAIN, chain), list)
}

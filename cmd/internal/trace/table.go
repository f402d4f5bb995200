package trace

import (
	"encoding/binary"
	"fmt"
	"slices"

	"farmc/cmd/internal/nfnetlink"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// tablePrefix begins the names of tables of traces. The ID of the netlink socket that owns the table follows: it is
// unique in the network namespace.
const tablePrefix = "farmc-trace-"

// The chains of a table. The ones with a hook watch packets on their way: each tells where a traced packet has come.
const (
	markChain      = "mark"
	ingressChain   = "ingress"
	egressChain    = "egress"
	enterChain     = "prerouting"
	enteredChain   = "prerouted"
	forwardChain   = "forward"
	forwardedChain = "forwarded"
	inputChain     = "input"
	receivedChain  = "received"
	outputChain    = "output"
	leaveChain     = "postrouted"
	backendChain   = "backend-" // its number follows
)

// Priorities of the chains. Fragments are joined at -400, and packets have ports only afterwards. Connection tracking
// ends at the largest number.
const (
	firstPriority = -399
	lastPriority  = 1<<31 - 2
)

// A hook is the place of a base chain.
type hook struct {
	chain    string
	number   int // unix.NF_INET_* or NF_NETDEV_*
	priority int32
	devices  []string
}

// watchers are the base chains at the hooks of the network layer.
var watchers = []hook{
	{enterChain, unix.NF_INET_PRE_ROUTING, firstPriority, nil},
	{enteredChain, unix.NF_INET_PRE_ROUTING, lastPriority, nil},
	{forwardChain, unix.NF_INET_FORWARD, -1 << 30, nil},
	{forwardedChain, unix.NF_INET_FORWARD, lastPriority, nil},
	{inputChain, unix.NF_INET_LOCAL_IN, -1 << 30, nil},
	{receivedChain, unix.NF_INET_LOCAL_IN, lastPriority, nil},
	{outputChain, unix.NF_INET_LOCAL_OUT, firstPriority, nil},
	{leaveChain, unix.NF_INET_POST_ROUTING, lastPriority, nil},
}

// maxDevices is the kernel's limit for a base chain (NFT_NETDEVICE_MAX).
const maxDevices = 256

// A table writes the messages that make a table with its chains and rules.
type table struct {
	nfnetlink.Batch
	family uint8
	name   string
}

// create makes the table, which goes with the socket that sends the message.
func (t *table) create() {
	t.Add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, t.family,
		nl.NewRtAttr(unix.NFTA_TABLE_NAME, nl.ZeroTerminated(t.name)),
		number(unix.NFTA_TABLE_FLAGS, nfnetlink.TableOwned))
}

// chain makes a chain; one with a hook is a base chain, whose policy is accept.
func (t *table) chain(name string, at *hook) {
	attrs := []nl.NetlinkRequestData{
		nl.NewRtAttr(unix.NFTA_CHAIN_TABLE, nl.ZeroTerminated(t.name)),
		nl.NewRtAttr(unix.NFTA_CHAIN_NAME, nl.ZeroTerminated(name)),
	}
	if at != nil {
		attrs = append(attrs, at.attribute(), nl.NewRtAttr(unix.NFTA_CHAIN_TYPE, nl.ZeroTerminated("filter")))
	}
	t.Add(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, t.family, attrs...)
}

// deviceName is NFTA_DEVICE_NAME, which golang.org/x/sys/unix lacks.
const deviceName = 1

func (h *hook) attribute() *nl.RtAttr {
	a := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_CHAIN_HOOK, nil)
	a.AddChild(number(unix.NFTA_HOOK_HOOKNUM, h.number))
	a.AddRtAttr(unix.NFTA_HOOK_PRIORITY, nl.BEUint32Attr(uint32(h.priority)))
	if len(h.devices) > 0 {
		all := a.AddRtAttr(unix.NLA_F_NESTED|nfnetlink.HookDevices, nil)
		for _, name := range h.devices {
			all.AddRtAttr(deviceName, nl.ZeroTerminated(name))
		}
	}
	return a
}

// rule adds a rule to the end of a chain.
func (t *table) rule(chain string, expressions ...*nl.RtAttr) {
	list := nl.NewRtAttr(unix.NLA_F_NESTED|unix.NFTA_RULE_EXPRESSIONS, nil)
	for _, e := range expressions {
		list.AddChild(e)
	}
	t.Add(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, t.family,
		nl.NewRtAttr(unix.NFTA_RULE_TABLE, nl.ZeroTerminated(t.name)),
		nl.NewRtAttr(unix.NFTA_RULE_CHAIN, nl.ZeroTerminated(chain)), list)
}

// markPackets adds the rules that select packets, to base chains.
func (t *table) markPackets(f *Filter, most int, chains ...string) {
	t.chain(markChain, nil)
	if !f.All {
		t.rule(markChain, append(opensNone(), ends(unix.NFT_RETURN, ""))...)
	}
	t.rule(markChain, append(rule{atMost(packetRate, most)}, mark()...)...)
	for _, chain := range chains {
		for _, target := range f.Targets {
			t.rule(chain, append(f.match(target, t.family), ends(unix.NFT_GOTO, markChain))...)
		}
	}
}

// packetRate is the number of packets a second that the kernel traces at most, beyond the ones at once.
const packetRate = 50

// networkTable writes the table at the hooks of the network layer.
func networkTable(name string, f *Filter, most int) *table {
	t := &table{family: unix.NFPROTO_INET, name: name}
	t.create()
	for i := range watchers {
		t.chain(watchers[i].chain, &watchers[i])
	}
	// A packet of this machine to itself was traced on its way out.
	t.rule(enterChain, load(unix.NFT_META_IIF), compare(unix.NFT_CMP_EQ, loopback), ends(unix.NFT_RETURN, ""))
	t.markPackets(f, most, enterChain, outputChain)
	return t
}

// loopbackIndex is the index of the interface lo, in each network namespace.
const loopbackIndex = 1

var loopback = binary.NativeEndian.AppendUint32(nil, loopbackIndex)

// frameTable writes the table at the ingress and egress of interfaces.
func frameTable(name string, f *Filter, most int, places Places) *table {
	t := &table{family: unix.NFPROTO_NETDEV, name: name}
	t.create()
	ingress := t.atDevices(ingressChain, unix.NF_NETDEV_INGRESS, places.Ingress)
	fixed := *f
	fixed.Targets = slices.DeleteFunc(slices.Clone(f.Targets), func(t Target) bool { return !t.Destination.IsValid() })
	t.markPackets(&fixed, most, ingress...)
	egress := t.atDevices(egressChain, unix.NF_NETDEV_EGRESS, places.Egress)
	for i, mac := range places.Backends {
		name := fmt.Sprint(backendChain, i)
		t.chain(name, nil)
		for _, chain := range egress {
			t.rule(chain, append(isSentTo(mac), ends(unix.NFT_GOTO, name))...)
		}
	}
	return t
}

// atDevices makes base chains at interfaces: one, or more if the interfaces are too many for one.
func (t *table) atDevices(name string, number int, devices []string) (chains []string) {
	for part := range slices.Chunk(devices, maxDevices) {
		h := &hook{fmt.Sprintf("%s-%d", name, len(chains)), number, -1 << 30, part}
		t.chain(h.chain, h)
		chains = append(chains, h.chain)
	}
	return chains
}

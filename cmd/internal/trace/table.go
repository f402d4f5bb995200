package trace

import (
	"encoding/binary"
	"fmt"
	"slices"

	"farmc/cmd/internal/nfnetlink"

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

// watchers are the base chains at the hooks of the network layer.
var watchers = []nfnetlink.BaseChain{
	{Name: enterChain, Hook: unix.NF_INET_PRE_ROUTING, Priority: firstPriority},
	{Name: enteredChain, Hook: unix.NF_INET_PRE_ROUTING, Priority: lastPriority},
	{Name: forwardChain, Hook: unix.NF_INET_FORWARD, Priority: -1 << 30},
	{Name: forwardedChain, Hook: unix.NF_INET_FORWARD, Priority: lastPriority},
	{Name: inputChain, Hook: unix.NF_INET_LOCAL_IN, Priority: -1 << 30},
	{Name: receivedChain, Hook: unix.NF_INET_LOCAL_IN, Priority: lastPriority},
	{Name: outputChain, Hook: unix.NF_INET_LOCAL_OUT, Priority: firstPriority},
	{Name: leaveChain, Hook: unix.NF_INET_POST_ROUTING, Priority: lastPriority},
}

// maxDevices is the kernel's limit for a base chain (NFT_NETDEVICE_MAX).
const maxDevices = 256

// A table writes the messages that make a table of a trace.
type table struct{ nfnetlink.Table }

// newTable begins a table, which goes with the socket that sends its messages.
func newTable(family uint8, name string) *table {
	t := &table{nfnetlink.Table{Family: family, Name: name}}
	t.Create(nfnetlink.TableOwned)
	return t
}

// markPackets adds the rules that select packets, to base chains.
func (t *table) markPackets(f *Filter, most int, chains ...string) {
	t.Chain(markChain)
	if !f.All {
		t.Rule(markChain, append(opensNone(), nfnetlink.Verdict(unix.NFT_RETURN, ""))...)
	}
	t.Rule(markChain, append(rule{atMost(packetRate, most)}, mark()...)...)
	for _, chain := range chains {
		for _, target := range f.Targets {
			t.Rule(chain, append(f.match(target, t.Family), nfnetlink.Verdict(unix.NFT_GOTO, markChain))...)
		}
	}
}

// packetRate is the number of packets a second that the kernel traces at most, beyond the ones at once.
const packetRate = 50

// networkTable writes the table at the hooks of the network layer.
func networkTable(name string, f *Filter, most int) *table {
	t := newTable(unix.NFPROTO_INET, name)
	for i := range watchers {
		t.BaseChain(&watchers[i])
	}
	// A packet of this machine to itself was traced on its way out.
	t.Rule(enterChain, load(unix.NFT_META_IIF), compare(unix.NFT_CMP_EQ, loopback),
		nfnetlink.Verdict(unix.NFT_RETURN, ""))
	t.markPackets(f, most, enterChain, outputChain)
	if f.Replies {
		t.markAnswers(f, most)
	}
	return t
}

// loopbackIndex is the index of the interface lo, in each network namespace.
const loopbackIndex = 1

var loopback = binary.NativeEndian.AppendUint32(nil, loopbackIndex)

// frameTable writes the table at the ingress and egress of interfaces.
func frameTable(name string, f *Filter, most int, places Places) *table {
	t := newTable(unix.NFPROTO_NETDEV, name)
	ingress := t.atDevices(ingressChain, unix.NF_NETDEV_INGRESS, places.Ingress)
	fixed := *f
	fixed.Targets = slices.DeleteFunc(slices.Clone(f.Targets), func(t Target) bool { return !t.Destination.IsValid() })
	t.markPackets(&fixed, most, ingress...)
	egress := t.atDevices(egressChain, unix.NF_NETDEV_EGRESS, places.Egress)
	for i, mac := range places.Backends {
		name := fmt.Sprint(backendChain, i)
		t.Chain(name)
		for _, chain := range egress {
			t.Rule(chain, append(isSentTo(mac), nfnetlink.Verdict(unix.NFT_GOTO, name))...)
		}
	}
	return t
}

// atDevices makes base chains at interfaces: one, or more if the interfaces are too many for one.
func (t *table) atDevices(name string, number int, devices []string) (chains []string) {
	for part := range slices.Chunk(devices, maxDevices) {
		c := &nfnetlink.BaseChain{Name: fmt.Sprintf("%s-%d", name, len(chains)), Hook: number, Priority: -1 << 30,
			Devices: part}
		t.BaseChain(c)
		chains = append(chains, c.Name)
	}
	return chains
}

package trace

import (
	"syscall"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// An event is a rule that a traced packet matched, or the end of a base chain.
type event struct {
	id      uint32 // of the packet; the kernel uses it again for later ones
	chain   chainID
	handle  uint64 // of the rule; 0: the policy of the chain decided
	verdict verdict
	header  *header // of the first event in a base chain: the packet as it came there
	in, out int     // indexes of interfaces, in the first event in a base chain
}

// A chainID names a chain. The family is one of unix.NFPROTO_*.
type chainID struct {
	family      uint8
	table, name string
}

// A verdict is the end of a rule: one of unix.NFT_*, or of the codes below.
type verdict struct {
	code  int32
	chain string // of jump and goto
}

// Codes of verdicts that leave a base chain (NF_DROP and others of linux/netfilter.h).
const (
	drop   = 0
	accept = 1
	stolen = 2 // the packet went out by an interface, from the ingress of another
	queue  = 3
)

// parseEvent parses a message of the kernel; false if it is another kind of message, or broken.
func parseEvent(m syscall.NetlinkMessage) (e event, ok bool) {
	if m.Header.Type != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_TRACE || len(m.Data) == 0 {
		return e, false
	}
	a := nfnetlink.ParseMessage(m.Data)
	e.chain = chainID{m.Data[0], a.Text(unix.NFTA_TRACE_TABLE), a.Text(unix.NFTA_TRACE_CHAIN)}
	e.id, e.handle = a.Number(unix.NFTA_TRACE_ID), a.Number64(unix.NFTA_TRACE_RULE_HANDLE)
	if a.Number(unix.NFTA_TRACE_TYPE) == unix.NFT_TRACETYPE_POLICY {
		e.handle, e.verdict.code = 0, codeOf(a.Number(unix.NFTA_TRACE_POLICY))
	} else {
		v := nfnetlink.Parse(a[unix.NFTA_TRACE_VERDICT])
		e.verdict = verdict{codeOf(v.Number(unix.NFTA_VERDICT_CODE)), v.Text(unix.NFTA_VERDICT_CHAIN)}
	}
	if network := a[unix.NFTA_TRACE_NETWORK_HEADER]; network != nil {
		e.header = parseHeader(network, a[unix.NFTA_TRACE_TRANSPORT_HEADER])
	}
	e.in, e.out = int(a.Number(unix.NFTA_TRACE_IIF)), int(a.Number(unix.NFTA_TRACE_OIF))
	return e, e.chain.table != ""
}

// codeOf returns the code of a verdict. A verdict that leaves a base chain has more in its upper bits: the number of a
// queue and the flag bypass, or the error of a drop (linux/netfilter.h).
func codeOf(n uint32) int32 {
	code := int32(n)
	if code > queue || code < unix.NFT_RETURN {
		code &= 0xff // NF_VERDICT_MASK
	}
	return code
}

package foreign

import (
	"encoding/binary"
	"math"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// A verdict is the end of a rule or of a chain.
type verdict struct {
	kind  Kind
	chain string // of jump and go to
}

// A Kind is the kind of a verdict.
type Kind int

// The kinds. The first ones do not leave a base chain.
const (
	Continue Kind = iota
	returned
	jumped
	wentTo
	Accept
	Drop
	Queue          // a program decides
	DestinationNAT // includes redirection to this machine
	SourceNAT      // includes masquerading
	Proxy          // synproxy and tproxy: a proxy takes the packet
	Untrack        // does not end the chain: connection tracking ignores the packet
)

var (
	accepted = verdict{kind: Accept}
	dropped  = verdict{kind: Drop}
)

// A step is the state of the evaluation of one rule.
type step struct {
	*evaluation
	registers registers
	table     chainID
}

// expressionFuncs compute an expression: whether the rule goes on, and its verdict.
var expressionFuncs = map[string]func(*step, nfnetlink.Attributes) (truth, verdict){
	"cmp":       (*step).cmp,
	"range":     (*step).inRange,
	"lookup":    (*step).lookup,
	"immediate": (*step).immediate,
	"bitwise":   (*step).bitwise,
	"meta":      (*step).meta,
	"payload":   (*step).payload,
	"ct":        (*step).ct,
	"fib":       (*step).fib,
	"nat":       (*step).nat,
	"match":     (*step).xtMatch,
	"target":    (*step).xtTarget,
	"counter":   ignored,
	"log":       ignored,
	"last":      ignored,
	"objref":    ignored,
	"reject":    ends(Drop),
	"queue":     ends(Queue),
	"masq":      ends(SourceNAT),
	"redir":     ends(DestinationNAT),
	"synproxy":  ends(Proxy),
	"tproxy":    ends(Proxy),
	"notrack":   ends(Untrack),
}

func ignored(*step, nfnetlink.Attributes) (truth, verdict) { return yes, verdict{} }

func ends(kind Kind) func(*step, nfnetlink.Attributes) (truth, verdict) {
	return func(*step, nfnetlink.Attributes) (truth, verdict) { return yes, verdict{kind: kind} }
}

// compute computes one expression. One that is not in the table may match or not, and may write any register.
func (s *step) compute(e expression) (truth, verdict) {
	if f := expressionFuncs[e.name]; f != nil {
		return f(s, e.data)
	}
	s.registers.forget()
	return maybe, verdict{}
}

func (s *step) cmp(a nfnetlink.Attributes) (truth, verdict) {
	constant := a.Value(unix.NFTA_CMP_DATA)
	v := s.registers.get(a.Number(unix.NFTA_CMP_SREG), len(constant))
	op := a.Number(unix.NFTA_CMP_OP)
	if op == unix.NFT_CMP_EQ || op == unix.NFT_CMP_NEQ {
		return v.equals(constant).inverted(op == unix.NFT_CMP_NEQ), verdict{}
	}
	sign, isKnown := v.compare(constant)
	if !isKnown {
		return maybe, verdict{}
	}
	return truthOf(op == unix.NFT_CMP_LT && sign < 0 || op == unix.NFT_CMP_LTE && sign <= 0 ||
		op == unix.NFT_CMP_GT && sign > 0 || op == unix.NFT_CMP_GTE && sign >= 0), verdict{}
}

func (s *step) inRange(a nfnetlink.Attributes) (truth, verdict) {
	from, to := a.Value(unix.NFTA_RANGE_FROM_DATA), a.Value(unix.NFTA_RANGE_TO_DATA)
	v := s.registers.get(a.Number(unix.NFTA_RANGE_SREG), len(from))
	return v.between(from, to).inverted(a.Number(unix.NFTA_RANGE_OP) == unix.NFT_RANGE_NEQ), verdict{}
}

func (v value) between(from, to []byte) truth {
	low, isKnown := v.compare(from)
	high, _ := v.compare(to)
	if !isKnown {
		return maybe
	}
	return truthOf(low >= 0 && high <= 0)
}

func (s *step) immediate(a nfnetlink.Attributes) (truth, verdict) {
	if at := a.Number(unix.NFTA_IMMEDIATE_DREG); word(at) >= 0 {
		s.registers.put(at, known(a.Value(unix.NFTA_IMMEDIATE_DATA)))
		return yes, verdict{}
	}
	return yes, readVerdict(a[unix.NFTA_IMMEDIATE_DATA])
}

func readVerdict(data []byte) verdict {
	v := nfnetlink.Parse(nfnetlink.Parse(data)[unix.NFTA_DATA_VERDICT])
	kinds := map[int32]Kind{unix.NFT_RETURN: returned, unix.NFT_JUMP: jumped, unix.NFT_GOTO: wentTo, 1: Accept, 0: Drop,
		3: Queue}
	return verdict{kinds[int32(v.Number(unix.NFTA_VERDICT_CODE))], v.Text(unix.NFTA_VERDICT_CHAIN)}
}

func (s *step) bitwise(a nfnetlink.Attributes) (truth, verdict) {
	size := int(min(a.Number(unix.NFTA_BITWISE_LEN), 64))
	v := s.registers.get(a.Number(unix.NFTA_BITWISE_SREG), size)
	mask, xor := a.Value(unix.NFTA_BITWISE_MASK), a.Value(unix.NFTA_BITWISE_XOR)
	if a.Number(nfnetlink.BitwiseOperation) != 0 || len(mask) < size || len(xor) < size {
		v = unknown(size)
	} else {
		for i := range size {
			v.data[i] = v.data[i]&mask[i] ^ xor[i]
			v.known[i] |= ^mask[i]
		}
	}
	s.registers.put(a.Number(unix.NFTA_BITWISE_DREG), v)
	return yes, verdict{}
}

func (s *step) meta(a nfnetlink.Attributes) (truth, verdict) {
	s.registers.put(a.Number(unix.NFTA_META_DREG), s.packet.meta(a.Number(unix.NFTA_META_KEY)))
	return yes, verdict{}
}

func (s *step) ct(a nfnetlink.Attributes) (truth, verdict) {
	s.registers.put(a.Number(unix.NFTA_CT_DREG), s.packet.tracking(a.Number(unix.NFTA_CT_KEY)))
	return yes, verdict{}
}

func (s *step) payload(a nfnetlink.Attributes) (truth, verdict) {
	header := unknown(0)
	switch a.Number(unix.NFTA_PAYLOAD_BASE) {
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		header = s.packet.network()
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		header = s.packet.transport()
	}
	offset, size := a.Number(unix.NFTA_PAYLOAD_OFFSET), min(a.Number(unix.NFTA_PAYLOAD_LEN), 64)
	if offset > math.MaxInt16 {
		offset = math.MaxInt16
	}
	s.registers.put(a.Number(unix.NFTA_PAYLOAD_DREG), header.part(int(offset), int(size)))
	return yes, verdict{}
}

// fib knows the type of the destination address only.
func (s *step) fib(a nfnetlink.Attributes) (truth, verdict) {
	const addressType, ofDestination = 3, 2
	v := unknown(16)
	if a.Number(nfnetlink.FibResult) == addressType && a.Number(nfnetlink.FibFlags)&ofDestination != 0 {
		kind := uint32(unix.RTN_UNICAST)
		if s.packet.DestinationLocal {
			kind = unix.RTN_LOCAL
		}
		v = number32(kind)
	}
	s.registers.put(a.Number(nfnetlink.FibDestinationRegister), v)
	return yes, verdict{}
}

func (s *step) nat(a nfnetlink.Attributes) (truth, verdict) {
	const source = 0 // NFT_NAT_SNAT
	if a.Number(unix.NFTA_NAT_TYPE) == source {
		return yes, verdict{kind: SourceNAT}
	}
	return yes, verdict{kind: DestinationNAT}
}

// lookup decides lookups in the anonymous sets of a rule.
func (s *step) lookup(a nfnetlink.Attributes) (truth, verdict) {
	all, isKnown := s.ruleset.elements(s.ctx, s.table, a.Text(unix.NFTA_LOOKUP_SET))
	if to := a.Number(unix.NFTA_LOOKUP_DREG); word(to) >= 0 {
		s.registers.put(to, unknown(16))
		isKnown = false
	}
	if !isKnown {
		return maybe, verdict{}
	}
	from := a.Number(unix.NFTA_LOOKUP_SREG)
	hit, found := find(all, func(size int) value { return s.registers.get(from, size) })
	if len(a[unix.NFTA_LOOKUP_DREG]) == 0 {
		return hit.inverted(a.Number(unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0), verdict{}
	}
	return hit, found
}

var hostOrder = binary.NativeEndian

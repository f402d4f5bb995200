package foreign

import (
	"encoding/binary"
	"math"
	"slices"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// A verdict is the end of a rule or of a chain.
type verdict struct {
	kind  Kind
	chain string // of jump and go to
	zone  int32  // of Zone
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
	Unread         // a queue that no program reads: the kernel drops the packet
	DestinationNAT // includes redirection to this machine
	SourceNAT      // includes masquerading
	Sent           // out of another interface
	Proxy          // synproxy and tproxy: a proxy takes the packet
	Untrack        // does not end the chain: connection tracking ignores the packet
	Zone           // does not end the chain: connection tracking puts the packet into a zone
)

var (
	accepted = verdict{kind: Accept}
	dropped  = verdict{kind: Drop}
)

// A step is the state of the evaluation of one rule.
type step struct {
	*evaluation
	registers registers
	reached   truth     // whether the packet gets to the current expression
	possible  []verdict // of a map, for a key of which not all is known
	table     chainID
}

// An expression is a part of a rule.
type expression struct {
	compute func(*step) (truth, verdict) // whether the rule goes on, and its verdict
	reads   fields                       // fields of the packet on which the result depends
	writes  fields                       // fields of the packet that it may change
}

// compilers make an expression of its attributes. They parse the attributes once, because a rule is computed for many
// packets.
var compilers = map[string]func(nfnetlink.Attributes) expression{
	"cmp":       compileCmp,
	"range":     compileRange,
	"byteorder": compileByteorder,
	"lookup":    compileLookup,
	"immediate": compileImmediate,
	"bitwise":   compileBitwise,
	"meta":      compileMeta,
	"payload":   compilePayload,
	"ct":        compileCt,
	"fib":       compileFib,
	"nat":       compileNAT,
	"match":     compileMatch,
	"target":    compileTarget,
	"counter":   ignored,
	"log":       ignored,
	"last":      ignored,
	"objref":    compileObject,
	"reject":    ends(Drop),
	"queue":     compileQueue,
	"masq":      ends(SourceNAT),
	"redir":     ends(DestinationNAT),
	"fwd":       compileForward,
	"dup":       ignored,
	"synproxy":  ends(Proxy),
	"tproxy":    ends(Proxy),
	"notrack":   ends(Untrack),
}

// compile makes an expression. One that is not in the table may match or not, and may write any register.
func compile(name string, a nfnetlink.Attributes) expression {
	if f := compilers[name]; f != nil {
		return f(a)
	}
	return expression{compute: func(s *step) (truth, verdict) {
		s.registers.forget()
		return maybe, verdict{}
	}}
}

func ignored(nfnetlink.Attributes) expression { return constant(yes, verdict{}) }

// constant is an expression that has the same result for all packets.
func constant(t truth, v verdict) expression {
	return expression{compute: func(*step) (truth, verdict) { return t, v }}
}

func ends(kind Kind) func(nfnetlink.Attributes) expression {
	return func(nfnetlink.Attributes) expression { return constant(yes, verdict{kind: kind}) }
}

// compileForward makes the verdict fwd. Packets that it sends to an ifb come back, once their rate is limited.
func compileForward(a nfnetlink.Attributes) expression {
	const device = 1 // NFTA_FWD_SREG_DEV
	from := a.Number(device)
	return expression{compute: func(s *step) (truth, verdict) {
		to := s.registers.get(from, 4)
		for _, l := range s.ruleset.Links {
			if l.Kind == "ifb" && to.equals(number32(uint32(l.Index)).data) != no {
				return yes, accepted
			}
		}
		return yes, verdict{kind: Sent}
	}}
}

// compileObject makes a reference to a named object. Quotas and limits match some packets, and maps of objects have
// an object for some keys. All others let the rule go on, except for a synproxy.
func compileObject(a nfnetlink.Attributes) expression {
	const kind, quota, limit, connections, synproxy = 1, 2, 4, 5, 10 // NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_*
	switch a.Number(kind) {
	case 0, quota, limit, connections:
		return constant(maybe, verdict{})
	case synproxy:
		return constant(yes, verdict{kind: Proxy})
	}
	return ignored(a)
}

func compileCmp(a nfnetlink.Attributes) expression {
	constant, from, op := a.Value(unix.NFTA_CMP_DATA), a.Number(unix.NFTA_CMP_SREG), a.Number(unix.NFTA_CMP_OP)
	return expression{compute: func(s *step) (truth, verdict) {
		v := s.registers.get(from, len(constant))
		if op == unix.NFT_CMP_EQ || op == unix.NFT_CMP_NEQ {
			return v.equals(constant).inverted(op == unix.NFT_CMP_NEQ), verdict{}
		}
		sign, isKnown := v.compare(constant)
		if !isKnown {
			return maybe, verdict{}
		}
		return truthOf(op == unix.NFT_CMP_LT && sign < 0 || op == unix.NFT_CMP_LTE && sign <= 0 ||
			op == unix.NFT_CMP_GT && sign > 0 || op == unix.NFT_CMP_GTE && sign >= 0), verdict{}
	}}
}

func compileRange(a nfnetlink.Attributes) expression {
	low, high := a.Value(unix.NFTA_RANGE_FROM_DATA), a.Value(unix.NFTA_RANGE_TO_DATA)
	from, inverted := a.Number(unix.NFTA_RANGE_SREG), a.Number(unix.NFTA_RANGE_OP) == unix.NFT_RANGE_NEQ
	return expression{compute: func(s *step) (truth, verdict) {
		return s.registers.get(from, len(low)).between(low, high).inverted(inverted), verdict{}
	}}
}

func (v value) between(from, to []byte) truth {
	low, isKnown := v.compare(from)
	high, _ := v.compare(to)
	if !isKnown {
		return maybe
	}
	return truthOf(low >= 0 && high <= 0)
}

func compileImmediate(a nfnetlink.Attributes) expression {
	to := a.Number(unix.NFTA_IMMEDIATE_DREG)
	if word(to) < 0 {
		return constant(yes, readVerdict(a[unix.NFTA_IMMEDIATE_DATA]))
	}
	return loads(to, known(a.Value(unix.NFTA_IMMEDIATE_DATA)))
}

// loads is an expression that puts a constant into a register.
func loads(to uint32, v value) expression {
	return expression{compute: func(s *step) (truth, verdict) {
		s.registers.put(to, v)
		return yes, verdict{}
	}}
}

func readVerdict(data []byte) verdict {
	v := nfnetlink.Parse(nfnetlink.Parse(data)[unix.NFTA_DATA_VERDICT])
	kinds := map[int32]Kind{unix.NFT_RETURN: returned, unix.NFT_JUMP: jumped, unix.NFT_GOTO: wentTo, 1: Accept, 0: Drop,
		3: Queue}
	return verdict{kind: kinds[int32(v.Number(unix.NFTA_VERDICT_CODE))], chain: v.Text(unix.NFTA_VERDICT_CHAIN)}
}

func compileBitwise(a nfnetlink.Attributes) expression {
	size := int(min(a.Number(unix.NFTA_BITWISE_LEN), 64))
	from, to := a.Number(unix.NFTA_BITWISE_SREG), a.Number(unix.NFTA_BITWISE_DREG)
	mask, xor := a.Value(unix.NFTA_BITWISE_MASK), a.Value(unix.NFTA_BITWISE_XOR)
	if a.Number(nfnetlink.BitwiseOperation) != 0 || len(mask) < size || len(xor) < size { // 0 is mask and xor
		return loads(to, unknown(size))
	}
	return expression{compute: func(s *step) (truth, verdict) {
		v, out := s.registers.get(from, size), unknown(size)
		for i := range size {
			out.data[i] = v.data[i]&mask[i] ^ xor[i]
			out.known[i] = v.known[i] | ^mask[i]
		}
		s.registers.put(to, out)
		return yes, verdict{}
	}}
}

// compileMeta makes a load of a property of the packet, or an assignment.
func compileMeta(a nfnetlink.Attributes) expression {
	to, key := a.Number(unix.NFTA_META_DREG), a.Number(unix.NFTA_META_KEY)
	if from := a.Number(unix.NFTA_META_SREG); from != 0 {
		if key != unix.NFT_META_MARK {
			return constant(yes, verdict{})
		}
		return marksPacket(from)
	}
	return expression{compute: func(s *step) (truth, verdict) {
		s.registers.put(to, s.meta(key))
		return yes, verdict{}
	}, reads: metaFields[key]}
}

// compileCt makes a load of a property of the connection, or an assignment.
func compileCt(a nfnetlink.Attributes) expression {
	to, key := a.Number(unix.NFTA_CT_DREG), a.Number(unix.NFTA_CT_KEY)
	if from := a.Number(unix.NFTA_CT_SREG); from != 0 {
		switch key {
		case unix.NFT_CT_ZONE:
			return setZone(from, len(a[unix.NFTA_CT_DIRECTION]) > 0)
		case unix.NFT_CT_MARK:
			return marksConnection(from)
		}
		return constant(yes, verdict{})
	}
	if key == unix.NFT_CT_MARK {
		return loadsConnectionMark(to)
	}
	ofAnswers := slices.Equal(a[unix.NFTA_CT_DIRECTION], []byte{1})
	return expression{compute: func(s *step) (truth, verdict) {
		s.registers.put(to, s.packet.tracking(key, ofAnswers))
		return yes, verdict{}
	}, reads: trackingFields[key]}
}

// setZone is an assignment of a zone. A zone of one direction leaves the other one in zone 0.
func setZone(from uint32, ofOneDirection bool) expression {
	return expression{compute: func(s *step) (truth, verdict) {
		v := s.registers.get(from, 2)
		if _, isKnown := v.compare([]byte{0, 0}); !isKnown || ofOneDirection {
			return yes, verdict{kind: Zone, zone: UnknownZone}
		}
		return yes, verdict{kind: Zone, zone: int32(hostOrder.Uint16(v.data))}
	}}
}

func compilePayload(a nfnetlink.Attributes) expression {
	base, to := a.Number(unix.NFTA_PAYLOAD_BASE), a.Number(unix.NFTA_PAYLOAD_DREG)
	offset := int(min(a.Number(unix.NFTA_PAYLOAD_OFFSET), math.MaxInt16))
	size := int(min(a.Number(unix.NFTA_PAYLOAD_LEN), 64))
	e := expression{compute: func(s *step) (truth, verdict) {
		s.registers.put(to, s.header(base).part(offset, size))
		return yes, verdict{}
	}}
	switch base {
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		e.reads = source | destination
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		e.reads = ports
	}
	return e
}

// header returns a header of the packet, for a number of NFTA_PAYLOAD_BASE.
func (e *evaluation) header(base uint32) value {
	switch base {
	case unix.NFT_PAYLOAD_LL_HEADER:
		return e.packet.link()
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		if e.network.data == nil {
			e.network = e.packet.network()
		}
		return e.network
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		if e.transport.data == nil {
			e.transport = e.packet.transport()
		}
		return e.transport
	}
	return unknown(0)
}

// compileFib makes a lookup of the type of the destination address. Other lookups are undecided.
func compileFib(a nfnetlink.Attributes) expression {
	const addressType, ofDestination = 3, 2
	to := a.Number(nfnetlink.FibDestinationRegister)
	if a.Number(nfnetlink.FibResult) != addressType || a.Number(nfnetlink.FibFlags)&ofDestination == 0 {
		return loads(to, unknown(16))
	}
	return expression{compute: func(s *step) (truth, verdict) {
		kind := uint32(unix.RTN_UNICAST)
		if s.packet.DestinationLocal {
			kind = unix.RTN_LOCAL
		}
		s.registers.put(to, number32(kind))
		return yes, verdict{}
	}, reads: isLocal}
}

func compileNAT(a nfnetlink.Attributes) expression {
	const sourceNAT = 0 // NFT_NAT_SNAT
	if a.Number(unix.NFTA_NAT_TYPE) == sourceNAT {
		return constant(yes, verdict{kind: SourceNAT})
	}
	return constant(yes, verdict{kind: DestinationNAT})
}

// compileLookup decides lookups in sets and in verdict maps.
func compileLookup(a nfnetlink.Attributes) expression {
	set, from, to := a.Text(unix.NFTA_LOOKUP_SET), a.Number(unix.NFTA_LOOKUP_SREG), a.Number(unix.NFTA_LOOKUP_DREG)
	inverted := a.Number(unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0
	isMap := len(a[unix.NFTA_LOOKUP_DREG]) > 0
	return expression{compute: func(s *step) (truth, verdict) {
		all := s.ruleset.elements(s.ctx, s.table, set)
		if all == nil {
			s.registers.put(to, unknown(16))
			return maybe, verdict{}
		}
		s.ruleset.Work += len(all.elements) / elementsOfRule
		hit, found := all.find(s.registers.get(from, all.size))
		switch {
		case !isMap:
			return hit.inverted(inverted), verdict{}
		case word(to) < 0 && hit == maybe:
			s.possible = append(s.possible, all.possible(s.registers.get(from, all.size))...)
			return maybe, verdict{}
		case word(to) < 0:
			return hit, found.verdict
		case hit == yes:
			s.registers.put(to, known(found.data))
		default:
			s.registers.put(to, unknown(16))
		}
		return hit, verdict{}
	}}
}

// elementsOfRule is the number of elements of a set that cost as much as a rule at most.
const elementsOfRule = 1000

var hostOrder = binary.NativeEndian

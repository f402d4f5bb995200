package foreign

import (
	"encoding/binary"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// A Mark is a mark of a packet or of a connection, of which some bits are known. The zero Mark is unknown.
type Mark struct{ Value, Known uint32 } // bits that are not known are 0 in Value

// NoMark is the mark of packets and connections that no rule has given one.
var NoMark = Mark{Known: allBits}

const allBits = 1<<32 - 1

// With is the mark with some bits set to a value.
func (m Mark) With(value, bits uint32) Mark {
	return Mark{m.Value&^bits | value&bits, m.Known | bits}
}

// Or is a mark that may be one or the other: the bits on which both agree.
func (m Mark) Or(o Mark) Mark {
	known := m.Known & o.Known &^ (m.Value ^ o.Value)
	return Mark{m.Value & known, known}
}

// Has reports whether the mark has a value in some bits, and whether that is known.
func (m Mark) Has(value, bits uint32) (has, isKnown bool) {
	t := m.is(value, bits)
	return t == yes, t != maybe
}

// is compares some bits of the mark with a value. A known bit that differs decides.
func (m Mark) is(value, bits uint32) truth {
	switch {
	case value&^bits != 0 || (m.Value^value)&bits&m.Known != 0:
		return no
	case bits&^m.Known != 0:
		return maybe
	}
	return yes
}

// value is the mark as a register has it.
func (m Mark) value() value {
	return value{binary.NativeEndian.AppendUint32(nil, m.Value), binary.NativeEndian.AppendUint32(nil, m.Known)}
}

func markOf(v value) Mark {
	known := hostOrder.Uint32(v.known)
	return Mark{hostOrder.Uint32(v.data) & known, known}
}

// hasNoConnection reports whether connection tracking has not seen the packet yet, or leaves it alone. A match on the
// mark of its connection then never holds, not even an inverted one.
func (p Packet) hasNoConnection() bool { return p.State == Invalid || p.State == Untracked }

// setMark gives the packet a mark, if it reaches the rule.
func (s *step) setMark(m Mark) {
	if s.reached != yes {
		m = m.Or(s.packet.Mark)
	}
	s.packet.Mark = m
}

// setConnectionMark gives the connection a mark, if there is one, and if the packet reaches the rule.
func (s *step) setConnectionMark(m Mark) {
	if s.reached != yes {
		m = m.Or(s.packet.ConnectionMark)
	}
	if !s.packet.hasNoConnection() {
		s.packet.ConnectionMark = m
	}
}

// marksPacket and marksConnection are assignments of the value of a register.
func marksPacket(from uint32) expression {
	return expression{compute: func(s *step) (truth, verdict) {
		s.setMark(markOf(s.registers.get(from, 4)))
		return yes, verdict{}
	}, reads: mark, writes: mark}
}

func marksConnection(from uint32) expression {
	return expression{compute: func(s *step) (truth, verdict) {
		s.setConnectionMark(markOf(s.registers.get(from, 4)))
		return yes, verdict{}
	}, reads: connectionMark | state, writes: connectionMark}
}

// loadsConnectionMark puts the mark of the connection into a register. The rule ends if there is no connection. Bridges
// track connections only if rules ask for it, which is not followed.
func loadsConnectionMark(to uint32) expression {
	return expression{compute: func(s *step) (truth, verdict) {
		switch {
		case s.table.family == unix.NFPROTO_BRIDGE:
			s.registers.put(to, unknown(4))
		case s.packet.hasNoConnection():
			return no, verdict{}
		default:
			s.registers.put(to, s.packet.ConnectionMark.value())
		}
		return yes, verdict{}
	}, reads: connectionMark | state}
}

// leave records the marks of a packet that may leave the base chain by a verdict. The program of a queue can set them.
func (e *evaluation) leave(by Kind) {
	m := marks{e.packet.Mark, e.packet.ConnectionMark}
	if by == Queue {
		m = marks{}
	}
	if e.left {
		m = marks{m.packet.Or(e.exit.packet), m.connection.Or(e.exit.connection)}
	}
	e.left, e.exit = true, m
}

// marks are the marks of a packet and of its connection.
type marks struct{ packet, connection Mark }

// compileByteorder reverses the bytes of numbers, for comparisons of marks with ranges.
func compileByteorder(a nfnetlink.Attributes) expression {
	const from, to, length, size = 1, 2, 4, 5 // NFTA_BYTEORDER_*
	n, all := int(min(a.Number(size), 8)), int(min(a.Number(length), 64))
	if n == 0 || all%n != 0 {
		return loads(a.Number(to), unknown(16))
	}
	if hostOrder.Uint16([]byte{0, 1}) == 1 { // the orders are the same
		n = 1
	}
	return expression{compute: func(s *step) (truth, verdict) {
		v, out := s.registers.get(a.Number(from), all), unknown(all)
		for i := range all {
			at := i/n*n + n - 1 - i%n
			out.data[i], out.known[i] = v.data[at], v.known[at]
		}
		s.registers.put(a.Number(to), out)
		return yes, verdict{}
	}}
}

// xtMark computes the match mark (struct xt_mark_mtinfo1): value, mask and whether it is inverted.
func (s *step) xtMark(info []byte) truth { return xtMarkIs(s.packet.Mark, info) }

// xtConnectionMark computes the match connmark (struct xt_connmark_mtinfo1).
func (s *step) xtConnectionMark(info []byte) truth {
	if s.packet.hasNoConnection() {
		return no
	}
	return xtMarkIs(s.packet.ConnectionMark, info)
}

func xtMarkIs(m Mark, info []byte) truth {
	const bits, inverted = 4, 8
	if len(info) <= inverted {
		return maybe
	}
	return m.is(hostOrder.Uint32(info), hostOrder.Uint32(info[bits:])).inverted(info[inverted] != 0)
}

// xtSetMark makes the target MARK (struct xt_mark_tginfo2): bits to clear, and then bits to invert.
func xtSetMark(info []byte) expression {
	const bits = 4
	return expression{compute: func(s *step) (truth, verdict) {
		m := Mark{}
		if len(info) >= 8 {
			m = s.packet.Mark.changed(hostOrder.Uint32(info[bits:]), hostOrder.Uint32(info))
		}
		s.setMark(m)
		return yes, verdict{}
	}, reads: mark, writes: mark}
}

// changed is the mark with some bits cleared, and then some inverted.
func (m Mark) changed(clear, invert uint32) Mark {
	known := m.Known | clear
	return Mark{(m.Value&^clear ^ invert) & known, known}
}

// combined is the mark with some bits cleared, and then the bits of another mark inverted.
func (m Mark) combined(clear uint32, o Mark) Mark {
	known := (m.Known | clear) & o.Known
	return Mark{(m.Value&^clear ^ o.Value) & known, known}
}

// xtSetConnectionMark makes the target CONNMARK (struct xt_connmark_tginfo1; tginfo2, which can shift the mark).
func xtSetConnectionMark(info []byte, revision uint32) expression {
	const bits, ofPacket, ofFirst, shift, ofSecond, set, save, restore = 4, 8, 12, 13, 14, 0, 1, 2
	mode := ofFirst
	if revision > 1 {
		mode = ofSecond
	}
	e := expression{reads: mark | connectionMark | state, writes: mark | connectionMark}
	if len(info) <= mode || mode == ofSecond && info[shift] != 0 {
		e.compute = func(s *step) (truth, verdict) {
			s.setMark(Mark{})
			s.setConnectionMark(Mark{})
			return yes, verdict{}
		}
		return e
	}
	value, ctMask := hostOrder.Uint32(info), hostOrder.Uint32(info[bits:])
	packetMask := hostOrder.Uint32(info[ofPacket:])
	e.compute = func(s *step) (truth, verdict) {
		p := s.packet
		switch {
		case p.hasNoConnection():
		case info[mode] == set:
			s.setConnectionMark(p.ConnectionMark.changed(ctMask, value))
		case info[mode] == save:
			s.setConnectionMark(p.ConnectionMark.combined(ctMask, p.Mark.only(packetMask)))
		case info[mode] == restore:
			s.setMark(p.Mark.combined(packetMask, p.ConnectionMark.only(ctMask)))
		}
		return yes, verdict{}
	}
	return e
}

// only is the mark with all other bits cleared.
func (m Mark) only(bits uint32) Mark { return m.With(0, ^bits) }

// forgetsMarks is a target that gives packets a mark that is not computed.
func forgetsMarks() expression {
	return expression{compute: func(s *step) (truth, verdict) {
		s.setMark(Mark{})
		return yes, verdict{}
	}, reads: mark, writes: mark}
}

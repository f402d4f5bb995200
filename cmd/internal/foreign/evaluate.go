package foreign

import "context"

// A Result is the outcome of a base chain for a packet.
type Result struct {
	Verdict   Kind   // Accept, Drop, Queue, Unread, DestinationNAT, SourceNAT, Sent or Proxy
	Chain     string // chain with the rule that decided; the base chain if its policy did
	Undecided bool   // an earlier rule may decide otherwise: it depends on packets of which not all is known
	Untracked bool   // a rule took the packet from connection tracking
	Zone      int32  // the zone that a rule put the packet into; UnknownZone if it depends

	Mark, ConnectionMark Mark // of the packet behind the chain, if it gets there
}

// UnknownZone is the zone of a packet that may be in several zones.
const UnknownZone = -1

// A question is a chain and the fields of a packet on which its outcome depends.
type question struct {
	chain  *Chain
	packet Packet
}

// An evaluation follows one packet through a base chain.
type evaluation struct {
	ctx     context.Context
	ruleset *Ruleset
	packet  Packet
	hook    uint32

	network, transport value // headers of the packet, once a rule has read them

	left bool  // the packet may have left the chain by an earlier rule
	exit marks // with these marks

	result Result
	depth  int
	step   step // of the current rule
}

// maxDepth is the kernel's limit for nested jumps (NFT_JUMP_STACK_SIZE).
const maxDepth = 16

// Evaluate computes the outcome of a base chain for a packet. It computes it once for packets that the chain does not
// tell apart.
func (r *Ruleset) Evaluate(ctx context.Context, c *Chain, p Packet) Result {
	r.Work++
	q := question{c, p.only(r.usesOf(c).reads)}
	result, ok := r.memory[q]
	if !ok {
		result = r.compute(ctx, c, q.packet)
		r.memory[q] = result
	}
	if q.packet.Mark != p.Mark {
		result.Mark = p.Mark
	}
	if q.packet.ConnectionMark != p.ConnectionMark {
		result.ConnectionMark = p.ConnectionMark
	}
	return result
}

func (r *Ruleset) compute(ctx context.Context, c *Chain, p Packet) Result {
	e := &evaluation{ctx: ctx, ruleset: r, packet: p, hook: c.Hook}
	end := e.follow(c, yes)
	if end.kind <= wentTo {
		end = c.policy
		e.result.Chain = c.Name
	}
	e.leave(end.kind)
	e.result.Verdict, e.result.Mark, e.result.ConnectionMark = end.kind, e.exit.packet, e.exit.connection
	return e.result
}

// follow computes the rules of a chain. Certain is maybe in a chain that the packet may not enter, and behind a return
// that the packet may take.
func (e *evaluation) follow(c *Chain, certain truth) verdict {
	if e.depth++; e.depth > maxDepth {
		e.depth--
		return verdict{}
	}
	defer func() { e.depth-- }()
	left := false // the packet may be back in the chain with the jump
	for _, r := range c.rules {
		e.ruleset.Work++
		matches, end := e.rule(c, r, certain)
		for _, may := range e.step.possible {
			if may.kind != Continue && e.jump(c, may, maybe).kind == returned {
				certain, left = maybe, true
			}
		}
		if matches == no || end.kind == Continue {
			continue
		}
		reached := min(certain, matches)
		if end = e.jump(c, end, reached); end.kind == Continue {
			continue
		}
		switch {
		case matches == yes && end.kind.loses() && left:
			return verdict{}
		case matches == yes:
			return end
		case end.kind == returned:
			certain, left = maybe, true
		}
	}
	return verdict{}
}

// rule computes one rule: whether it matches, and its verdict.
func (e *evaluation) rule(c *Chain, r rule, certain truth) (truth, verdict) {
	s := &e.step
	*s = step{evaluation: e, table: chainID{c.Family, c.Table, ""}}
	result := yes
	for _, x := range r {
		s.reached = min(result, certain)
		matches, end := x.compute(s)
		if result = min(result, matches); result == no {
			return no, verdict{}
		}
		if end.kind == Untrack || end.kind == Zone {
			e.track(end, s.reached)
			continue
		}
		if end.kind != Continue {
			return result, end
		}
	}
	return result, verdict{}
}

// track records a verdict about connection tracking.
func (e *evaluation) track(v verdict, reached truth) {
	switch {
	case v.kind == Untrack:
		e.result.Untracked = e.result.Untracked || reached == yes
	case reached == yes:
		e.result.Zone = v.zone
	default:
		e.result.Zone = UnknownZone
	}
}

// jump follows a jump, and records the end of the packet. It returns the verdict with which the rule's chain ends;
// Continue if the packet goes on with the next rule.
func (e *evaluation) jump(c *Chain, end verdict, reached truth) verdict {
	switch {
	case end.kind == jumped || end.kind == wentTo:
		to := e.ruleset.chains[chainID{c.Family, c.Table, end.chain}]
		if to == nil {
			return verdict{}
		}
		inner := e.follow(to, reached)
		if inner.kind > wentTo {
			return inner
		}
		if end.kind == wentTo {
			return verdict{kind: returned}
		}
		return verdict{}
	case end.kind == returned:
		return end
	case reached == maybe && !end.kind.loses():
		e.result.Undecided = true
		e.leave(end.kind)
	case reached == yes:
		e.result.Chain = c.Name
	}
	return end
}

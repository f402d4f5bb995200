package preflight

import (
	"cmp"
	"net"
	"slices"

	"farmc/cmd/internal/foreign"
	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Rules of other programs drop packets without their mark, or with another one. A packet comes in without a mark. Rules
// of other programs that it passes give it one, or its connection, and so do the keys mark and mark-replies of a farm.

// marks are the marks of a packet and of its connection.
type marks struct{ packet, connection foreign.Mark }

// or are marks that may be these or others.
func (m marks) or(o marks) marks {
	return marks{m.packet.Or(o.packet), m.connection.Or(o.connection)}
}

// A markStep is a point at which marks change: a chain of another program, or one of farmc.
type markStep struct {
	hook     uint32
	priority int32
	change   func(marks) marks
}

// evaluate computes the outcome of a chain for a packet of a flow, with the marks that the packet has there. The link
// is that of the client; "" is any.
func (s *search) evaluate(c *foreign.Chain, p flow, packet foreign.Packet, link string) foreign.Result {
	if s.machine.rules.ReadsMarks(c) {
		m := s.marksAt(c, p, packet, link)
		packet.Mark, packet.ConnectionMark = m.packet, m.connection
	}
	return s.machine.rules.Evaluate(s.ctx, c, packet)
}

// marksAt are the marks of a packet as it gets to a chain. Programs of this machine choose the marks of packets that
// they send, a program that reads a queue can change them, and a synproxy sends packets to backends itself.
func (s *search) marksAt(c *foreign.Chain, p flow, packet foreign.Packet, link string) marks {
	switch {
	case p.loopback || packet.Type != 0 || p.farm.Queue.Count > 0 || p.farm.Limits.Synproxy.On:
		return marks{}
	case isEgress(c):
		return marks{}
	case isIngress(c):
		return s.unmarked(p)
	case !packet.Reply && link != "":
		return s.marksOfRequest(p, link, c)
	}
	var of marks // of the requests by all interfaces, because an answer may leave by any of them
	end := c
	if packet.Reply {
		end = nil
	}
	for i, link := range p.clientLinks {
		m := s.marksOfRequest(p, link, end)
		if i > 0 {
			m = m.or(of)
		}
		of = m
	}
	if packet.Reply {
		of.packet = s.unmarked(p).packet
		if p.local {
			of.packet = foreign.Mark{}
		}
		return walk(of, s.stepsOfAnswer(p, link, c), c)
	}
	return of
}

// walk takes the steps before a chain; nil: all. Of chains with the same priority it may take either way.
func walk(m marks, steps []markStep, end *foreign.Chain) marks {
	for _, step := range steps {
		order := -1
		if end != nil {
			order = cmp.Or(cmp.Compare(step.hook, end.Hook), cmp.Compare(step.priority, end.Priority))
		}
		switch {
		case order < 0:
			m = step.change(m)
		case order == 0:
			m = m.or(step.change(m))
		}
	}
	return m
}

// marksOfRequest are the marks of the packet that opens a connection, as it gets to a chain; nil: as it leaves.
func (s *search) marksOfRequest(p flow, link string, end *foreign.Chain) marks {
	path := []uint32{unix.NF_INET_PRE_ROUTING, unix.NF_INET_FORWARD, unix.NF_INET_POST_ROUTING}
	if p.local {
		path = []uint32{unix.NF_INET_PRE_ROUTING, unix.NF_INET_LOCAL_IN}
	}
	passed := func(c *foreign.Chain) bool { // NAT of farmc ends the NAT of a packet
		return c != end && !(c.Type == "nat" && c.Hook == unix.NF_INET_PRE_ROUTING && p.translated() &&
			c.Priority > s.ownPriority(p))
	}
	steps := s.steps(p, path, passed, func(c *foreign.Chain) foreign.Packet {
		if c.Hook == unix.NF_INET_PRE_ROUTING {
			return s.cameIn(c, p, link)
		}
		return p.handedOn(link)
	})
	return walk(s.unmarked(p), sorted(append(steps, s.ownStepsOfRequest(p, link, end)...)), end)
}

func sorted(steps []markStep) []markStep {
	slices.SortStableFunc(steps, func(a, b markStep) int {
		return cmp.Or(cmp.Compare(a.hook, b.hook), cmp.Compare(a.priority, b.priority))
	})
	return steps
}

// steps are the chains of other programs that a packet passes on a path, and that may change marks.
func (s *search) steps(p flow, path []uint32, passed func(*foreign.Chain) bool,
	packet func(*foreign.Chain) foreign.Packet) (steps []markStep) {
	for _, c := range s.machine.rules.Chains {
		if isIngress(c) || !slices.Contains(path, c.Hook) || !passes(c, p) || !passed(c) ||
			!s.machine.rules.WritesMarks(c) {
			continue
		}
		steps = append(steps, markStep{c.Hook, c.Priority, func(m marks) marks {
			q := packet(c)
			q.Mark, q.ConnectionMark = m.packet, m.connection
			r := s.machine.rules.Evaluate(s.ctx, c, q)
			return marks{r.Mark, r.ConnectionMark}
		}})
	}
	return steps
}

// Priorities of farmc's chains that set marks (templates/mark.nft, templates/mark_replies.nft).
const (
	uplinkPriority      = -154 // mangle - 4
	replyMarkPriority   = -153 // mangle - 3
	backendMarkPriority = -95  // dstnat + 5
)

// ownStepsOfRequest are the keys mark-replies and mark of the farm, and mark of its backends. In prerouting the backend
// may be any of the farm.
func (s *search) ownStepsOfRequest(p flow, link string, end *foreign.Chain) (steps []markStep) {
	if !p.tracked() {
		return nil
	}
	for _, u := range p.farm.MarkReplies {
		if u.Interface == link {
			steps = append(steps, marksConnection(uplinkPriority, u.Mark))
		}
	}
	steps = append(steps, marksConnection(s.ownPriority(p), p.farm.Mark))
	chosen := []farm.Backend{p.backend}
	if end != nil && end.Hook == unix.NF_INET_PRE_ROUTING && len(p.backends) > 0 {
		chosen = p.backends
	}
	return append(steps, markStep{unix.NF_INET_PRE_ROUTING, backendMarkPriority, func(m marks) (all marks) {
		for i, b := range chosen {
			of := marks{m.packet, withBits(m.connection, b.Mark)}
			if i > 0 {
				of = of.or(all)
			}
			all = of
		}
		return all
	}})
}

// marksConnection is a chain of farmc that sets bits of the connection mark.
func marksConnection(priority int32, bits farm.Mark) markStep {
	return markStep{unix.NF_INET_PRE_ROUTING, priority, func(m marks) marks {
		return marks{m.packet, withBits(m.connection, bits)}
	}}
}

func withBits(m foreign.Mark, bits farm.Mark) foreign.Mark { return m.With(bits.Value, bits.Mask) }

// stepsOfAnswer are the chains that change marks of an answer.
func (s *search) stepsOfAnswer(p flow, link string, end *foreign.Chain) []markStep {
	path := []uint32{unix.NF_INET_PRE_ROUTING, unix.NF_INET_FORWARD, unix.NF_INET_POST_ROUTING}
	answer := p.answer
	if p.local {
		path = []uint32{unix.NF_INET_LOCAL_OUT, unix.NF_INET_POST_ROUTING}
		answer = p.ownAnswer
	}
	passed := func(c *foreign.Chain) bool { return c != end && c.Type != "nat" } // which have the first packet alone
	steps := s.steps(p, path, passed, func(c *foreign.Chain) foreign.Packet {
		if c.Hook == unix.NF_INET_PRE_ROUTING {
			return s.cameBack(c, p)
		}
		return answer(link)
	})
	return sorted(append(steps, markStep{path[0], replyMarkPriority, p.markReply}))
}

// markReply gives an answer the mark of the uplink of its request.
func (p flow) markReply(m marks) marks {
	for _, u := range p.farm.MarkReplies {
		has, isKnown := m.connection.Has(u.Mark.Value, u.Mark.Mask)
		if !p.tracked() {
			has, isKnown = true, true
		}
		set := marks{withBits(m.packet, u.Mark), m.connection}
		switch {
		case !isKnown:
			m = m.or(set)
		case has:
			return set
		}
	}
	return m
}

// unmarked are the marks of packets as they come in. They are not known if rules give them marks that are not followed.
func (s *search) unmarked(p flow) marks {
	known, ok := s.machine.unmarked[p.family]
	if !ok {
		known = marks{foreign.NoMark, foreign.NoMark}
		if s.machine.marksElsewhere(p.family) {
			known = marks{}
		}
		s.machine.unmarked[p.family] = known
	}
	return known
}

// marksElsewhere reports whether packets may have a mark before they get to the first hook of IP, or by rules that
// nf_tables does not show: by chains at ingress and of bridges, filters of tc, programs of tcx, IPsec, tables of
// iptables-legacy, and links that hand on packets with marks.
func (m *machine) marksElsewhere(family addr.Family) bool {
	return slices.ContainsFunc(m.rules.Chains, func(c *foreign.Chain) bool {
		return (isIngress(c) || c.Family == unix.NFPROTO_BRIDGE) && m.rules.WritesMarks(c)
	}) || len(legacyPrograms[family].tablesInUse()) > 0 || mayHavePolicies(family) || m.handsOnMarks() ||
		m.filtersRequests()
}

// mayHavePolicies reports whether IPsec has policies, or cannot be asked.
func mayHavePolicies(family addr.Family) bool {
	policies, err := policiesOf(family)
	return err != nil || len(policies) > 0
}

// marking are the types of links that hand on packets with a mark to the first hook: the mark of the packet around
// them, of their first pass (vrf), or of a program (openvswitch, netkit).
var marking = map[string]bool{"gre": true, "gretap": true, "ip6gre": true, "ip6gretap": true, "ipip": true, "sit": true,
	"ip6tnl": true, "vti": true, "vti6": true, "xfrm": true, "vxlan": true, "geneve": true, "vrf": true,
	"openvswitch": true, "netkit": true}

// handsOnMarks reports whether a link is up that can hand on packets with a mark.
func (m *machine) handsOnMarks() bool {
	for _, l := range m.links {
		if marking[l.Type()] && l.Attrs().Flags&net.FlagUp != 0 {
			return true
		}
	}
	return false
}

// filtersRequests reports whether tc has a filter or a program for packets that come in by any interface, or may have
// one.
func (m *machine) filtersRequests() bool {
	for index := range m.names {
		if hasTCX(index, "ingress") {
			return true
		}
	}
	all, err := netlink.QdiscList(nil)
	return err != nil || slices.ContainsFunc(all, func(q netlink.Qdisc) bool {
		l := m.links[m.names[q.Attrs().LinkIndex]]
		if l == nil || q.Type() != "clsact" && q.Type() != "ingress" {
			return false
		}
		filters, err := netlink.FilterList(l, netlink.HANDLE_MIN_INGRESS)
		return err != nil || len(filters) > 0
	})
}

package ruleset

import (
	"fmt"
	"strconv"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// Replies leave by the interface that the request came in by, where the machine has several uplinks: the packet that
// opens a connection sets bits of the connection mark by its interface, and each reply gets them as its packet mark
// before it is routed. A rule of the administrator (ip rule fwmark) leads replies to the routing table of the uplink.

// uplinksHook sets the connection mark of new connections, before the backend is chosen.
var uplinksHook = baseChain{name: "uplinks", section: markSection, prefix: "uplink-", any: "uplink-any"}

// An uplinkChain sets the connection mark by the interface that a packet came in by.
type uplinkChain struct {
	Map    string
	Origin *diag.Origin
}

// A replyMarks is the map from the bits of a mask in the connection mark to the chain that sets them in a packet mark.
type replyMarks struct {
	*object
	Mask uint32
}

// markReplies dispatches new connections to the chain that marks them by their interface, and replies to the chain that
// takes the mark over.
func (l *linker) markReplies(tracked []frontend) {
	var masks []*replyMarks
	h := l.dispatch(uplinksHook, tracked, func(d frontend) verdict {
		if len(d.farm.MarkReplies) == 0 {
			return noVerdict
		}
		l.replyMarks(&masks, d.farm)
		return goTo(l.uplinkChain(d.farm))
	})
	if h == nil {
		return
	}
	for _, name := range []string{"replies-forwarded", "replies-of-this-machine"} {
		l.rules.add(newChain(name, markSection, name).with(masks))
	}
}

// markUntracked gives replies of stateless farms the mark of the uplink that all requests of the farm come in by. They
// are told by the backend's address and port, which belong to one service.
func (l *linker) markUntracked(served []frontend) {
	h := &hook{Name: "replies-untracked"}
	for _, d := range served {
		if d.farm.Mode != farm.Stateless || len(d.farm.MarkReplies) == 0 {
			continue
		}
		v := goTo(l.setReplyMark(d.farm.MarkReplies[0].Mark))
		for _, r := range d.Replies() {
			from := d
			from.Frontend = r.Source()
			l.addTo(&h.Sources, mapPlace{Inet, markSection, "reply-from-", ""}, from, string(v))
		}
	}
	if len(h.Sources) > 0 {
		l.rules.add(newChain(h.Name, markSection, h.Name).with(h))
	}
}

func (l *linker) uplinkChain(s *service) string {
	o := newChain(s.ownName("uplinks"), markSection, "uplinks-of-farm")
	obtain(&l.rules, o, func() *uplinkChain {
		m := newMap(s.ownName("uplinks"), markSection, "marks-by-interface")
		m.data = m
		for _, u := range s.MarkReplies {
			m.elements.add(element{key: strconv.Quote(u.Interface), value: string(goTo(l.setMark(u.Mark))),
				origin: s.Origin("mark-replies")})
		}
		l.rules.add(m)
		return &uplinkChain{m.Name, s.Origin("mark-replies")}
	})
	return o.Name
}

// replyMarks adds the farm's marks to the maps of all farms.
func (l *linker) replyMarks(masks *[]*replyMarks, s *service) {
	for _, u := range s.MarkReplies {
		o := newMap(fmt.Sprintf("reply-marks-%#x", u.Mark.Mask), markSection, "marks-of-replies")
		m := obtain(&l.rules, o, func() *replyMarks {
			m := &replyMarks{o, u.Mark.Mask}
			*masks = append(*masks, m)
			return m
		})
		m.elements.addOnce(element{key: fmt.Sprintf("%#x", u.Mark.Value), value: string(goTo(l.setReplyMark(u.Mark))),
			origin: s.Origin("mark-replies")})
	}
}

// setReplyMark gives the chain that sets the bits of a packet mark.
func (l *linker) setReplyMark(m farm.Mark) string {
	name := fmt.Sprintf("reply-mark-%#x-%#x", m.Value, m.Mask)
	l.rules.add(newChain(name, markSection, "set-reply-mark").with(m))
	return name
}

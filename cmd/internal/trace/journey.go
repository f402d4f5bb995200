package trace

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A journey is the events of one packet on its way through the machine.
type journey struct {
	began, last time.Time
	first       *header // as the packet came in
	latest      *header // as it was last seen
	in, out     int     // indexes of interfaces; 0: none
	events      []event
	marked      bool // by the own table: else the packet belongs to another trace alone
	answer      bool
	lost        bool // events are missing
}

// maxEvents bounds the events of a packet. One through all features of farmc has about 30.
const maxEvents = 256

// maxOpen bounds the packets that are followed at once.
const maxOpen = 1024

// A collector puts the events of packets together.
type collector struct {
	table string
	open  map[uint32]*journey
}

func newCollector(table string) *collector { return &collector{table, map[uint32]*journey{}} }

// add adds an event. It returns the journeys that have ended: the one of the event, or an earlier one of a packet with
// the same ID.
func (c *collector) add(e event, now time.Time) (ended []*journey) {
	if c.isBegin(e) {
		j := c.open[e.id]
		if j != nil && !c.continues(j, e) {
			ended = append(ended, c.end(e.id, j)...)
			j = nil
		}
		if j == nil && len(c.open) < maxOpen {
			c.open[e.id] = &journey{began: now, first: e.header, in: e.in}
		}
	}
	j := c.open[e.id]
	if j == nil {
		return ended
	}
	c.extend(j, e, now)
	if c.isEnd(j, e) {
		ended = append(ended, c.end(e.id, j)...)
	}
	return ended
}

// isBegin reports whether the packet has come to the own table for the first time on its way, or from the ingress.
func (c *collector) isBegin(e event) bool {
	if e.chain.table != c.table || e.header == nil {
		return false
	}
	return marks(e.chain.name) || e.verdict.code == unix.NFT_GOTO && marks(e.verdict.chain)
}

func marks(chain string) bool { return chain == markChain || chain == answerChain }

// continues reports whether a packet that the own table has met at the ingress comes to it again after the ingress.
func (c *collector) continues(j *journey, e event) bool {
	if e.chain.family == unix.NFPROTO_NETDEV {
		return false
	}
	for _, before := range j.events {
		if before.chain.table == c.table && before.chain.family != unix.NFPROTO_NETDEV {
			return false
		}
	}
	return true
}

func (c *collector) extend(j *journey, e event, now time.Time) {
	j.last = now
	if e.chain.table == c.table && marks(e.chain.name) {
		j.marked, j.answer = true, e.chain.name == answerChain
	}
	if e.header != nil {
		j.latest = e.header
		if e.out != 0 {
			j.out = e.out
		}
	}
	if j.lost = j.lost || len(j.events) == maxEvents; len(j.events) < maxEvents {
		j.events = append(j.events, e)
	}
}

// isEnd reports whether the event is the last one of its packet.
func (c *collector) isEnd(j *journey, e event) bool {
	switch {
	case e.verdict.code == drop:
		return true
	case j.has(stolen): // by the ingress; the frame leaves before, or once its neighbour has answered
		return j.left(c.table)
	case e.chain.table != c.table || e.handle != 0:
		return false
	}
	return e.chain.name == leaveChain || e.chain.name == receivedChain
}

// left reports whether the packet was seen at an egress to its end.
func (j *journey) left(table string) bool {
	for _, e := range j.events {
		if e.chain.table == table && e.handle == 0 && strings.HasPrefix(e.chain.name, egressChain) {
			return true
		}
	}
	return false
}

// has reports whether a rule ended with the verdict.
func (j *journey) has(code int32) bool {
	for _, e := range j.events {
		if e.verdict.code == code {
			return true
		}
	}
	return false
}

// end closes a journey. A packet of another trace, and one that was seen at an ingress alone and goes on, has none.
func (c *collector) end(id uint32, j *journey) []*journey {
	delete(c.open, id)
	atIngress := j.events[len(j.events)-1].chain.family == unix.NFPROTO_NETDEV
	if !j.marked || j.first == nil || atIngress && !j.has(drop) && !j.has(stolen) {
		return nil
	}
	return []*journey{j}
}

// patience is how long the kernel may take between two events of a packet: the answer of a neighbour to a question for
// its MAC address, or of a program to a queued packet, can take longer.
const (
	patience      = 300 * time.Millisecond
	queuePatience = 2 * time.Second
)

// expire returns the journeys that have had no event for a while.
func (c *collector) expire(now time.Time) (ended []*journey) {
	for id, j := range c.open {
		wait := patience
		if j.has(queue) {
			wait = queuePatience
		}
		if now.Sub(j.last) > wait {
			ended = append(ended, c.end(id, j)...)
		}
	}
	return ended
}

// lose notes that events are missing, of any packet.
func (c *collector) lose() {
	for _, j := range c.open {
		j.lost = true
	}
}

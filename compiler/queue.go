package compiler

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Queue is a run of numbered queues to programs of this machine (NFQUEUE) that judge new connections. The zero Queue
// is none.
type Queue struct {
	First uint16
	Count int
}

// String writes the queue as nft and farms do.
func (q Queue) String() string {
	if q.Count == 1 {
		return fmt.Sprint(q.First)
	}
	return fmt.Sprintf("%d-%d", q.First, int(q.First)+q.Count-1)
}

// mostQueues is how many one rule can name (queues_total of net/netfilter/nft_queue.c has 16 bits).
const mostQueues = 65535

// readQueue reads a number, or a range like "0-3".
func readQueue(t *table) Queue {
	v, ok := t.raw("queue")
	if !ok {
		return Queue{}
	}
	text := fmt.Sprint(v.data)
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	switch {
	case errA != nil || errB != nil || b < a:
		t.fault(v.place, `queue = "0-3"`, "queue: %q is not a number or a range of numbers, 0 to 65535", text)
		return Queue{}
	case b-a >= mostQueues:
		t.fault(v.place, "", "queue: %q are %d queues, at most %d", text, b-a+1, mostQueues)
		return Queue{}
	}
	return Queue{uint16(a), int(b-a) + 1}
}

// A queueChain hands new connections to a queue: one for all farms with that queue, or, of a service of this machine that
// takes its packets from some interfaces, one before it.
type queueChain struct {
	Name   string
	Only   []string
	Queue  Queue
	Next   string
	Origin *Origin // the first farm that asks for it
}

// queue leads new connections to their queues: those whose backend is chosen, and those to services of this machine.
func (l *linker) queue(doors, chosen []door) {
	l.leadSome(&l.rules.queued, "queue-", chosen, func(d door) string {
		l.rules.queuesOpened = l.rules.queuesOpened || d.farm.Queue.Count > 0 && d.farm.LocalClients
		return l.queueOf(d.farm)
	})
	l.leadSome(&l.rules.queuedHere, "queue-here-", doors, func(d door) string {
		if d.farm.Mode != Local {
			return ""
		}
		return l.queueOf(d.farm)
	})
	slices.SortFunc(l.rules.queues, func(a, b queueChain) int { return cmp.Compare(a.Name, b.Name) })
}

// queueOf gives the chain that hands the farm's connections to its queue; "" if it has none.
func (l *linker) queueOf(f *Farm) string {
	if f.Queue.Count == 0 {
		return ""
	}
	c := queueChain{Name: "queue/" + f.Queue.String(), Queue: f.Queue, Origin: f.origin("queue")}
	l.addQueue(c)
	if f.Mode != Local || len(f.Interfaces) == 0 {
		return c.Name
	}
	own := queueChain{Name: ownName(f, "queue"), Only: f.Interfaces, Next: c.Name, Origin: f.origin("interfaces")}
	l.addQueue(own)
	return own.Name
}

func (l *linker) addQueue(c queueChain) {
	if !slices.ContainsFunc(l.rules.queues, func(o queueChain) bool { return o.Name == c.Name }) {
		l.rules.queues = append(l.rules.queues, c)
	}
}

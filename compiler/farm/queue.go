package farm

import (
	"fmt"
	"strconv"
	"strings"

	"farmc/compiler/toml"
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
func readQueue(t *toml.Table, key string) Queue {
	v, text, ok := t.NumberOrText(key, `"0-3"`)
	if !ok {
		return Queue{}
	}
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	switch {
	case errA != nil || errB != nil || b < a:
		t.Fault(v.Place, `queue = "0-3"`, "queue: %q is not a number or a range of numbers, 0 to 65535", text)
		return Queue{}
	case b-a >= mostQueues:
		t.Fault(v.Place, "", "queue: %q are %d queues, at most %d", text, b-a+1, mostQueues)
		return Queue{}
	}
	return Queue{uint16(a), int(b-a) + 1}
}

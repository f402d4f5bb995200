package foreign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"farmc/cmd/internal/machine"
	"farmc/cmd/internal/nfnetlink"
)

// queues are the numbers of the queues that programs read (libnetfilter_queue). The kernel drops the packets of other
// queues, unless the rule has the flag bypass.
type queues struct {
	read    map[uint16]bool
	unknown bool // the kernel does not tell
}

// queueFile lists the queues in /proc/net. Without the module that makes it no program can read one.
const queueFile = "netfilter/nfnetlink_queue"

func readQueues() *queues {
	text, err := os.ReadFile(machine.NetFile(queueFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &queues{unknown: true}
	}
	return parseQueues(string(text))
}

// parseQueues reads lines that begin with the number of a queue and the port of its program.
func parseQueues(text string) *queues {
	q := &queues{read: map[uint16]bool{}}
	for line := range strings.Lines(text) {
		var number uint16
		if _, err := fmt.Sscan(line, &number); err == nil {
			q.read[number] = true
		}
	}
	return q
}

// kind is the end of packets in one of some queues. Packets are lost for sure if no program reads any of them.
func (q *queues) kind(first, n uint16, bypass bool) Kind {
	if q == nil || q.unknown || bypass {
		return Queue
	}
	for i := range max(n, 1) {
		if q.read[first+i] {
			return Queue
		}
	}
	return Unread
}

// compileQueue makes the verdict queue. A number from a register is undecided.
func compileQueue(a nfnetlink.Attributes) expression {
	const number, total, flags, register, bypass = 1, 2, 3, 4, 1 // NFTA_QUEUE_*, NFT_QUEUE_FLAG_BYPASS
	if len(a[register]) > 0 || len(a[number]) != 2 {
		return constant(yes, verdict{kind: Queue})
	}
	return queued(number16(a[number]), number16(a[total]), number16(a[flags])&bypass != 0)
}

func number16(data []byte) uint16 {
	if len(data) != 2 {
		return 0
	}
	return binary.BigEndian.Uint16(data)
}

// xtQueue makes the target NFQUEUE (struct xt_NFQ_info_v3). Older structs have zeros in the place of later fields.
func xtQueue(info []byte) expression {
	const total, flags, bypass = 2, 4, 1
	if len(info) < 6 {
		return constant(yes, verdict{kind: Queue})
	}
	return queued(hostOrder.Uint16(info), hostOrder.Uint16(info[total:]), hostOrder.Uint16(info[flags:])&bypass != 0)
}

func queued(first, n uint16, bypass bool) expression {
	return expression{compute: func(s *step) (truth, verdict) {
		return yes, verdict{kind: s.ruleset.queues.kind(first, n, bypass)}
	}}
}

// loses reports whether the end of a packet is its loss.
func (k Kind) loses() bool { return k == Drop || k == Unread || k == Sent }

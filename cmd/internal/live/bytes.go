package live

import (
	"fmt"
	"hash/maphash"

	"farmc/cmd/internal/conntrack"
)

// maxFollowed is the number of connections whose bytes are followed. They take 70 MB.
const maxFollowed = 1 << 20

// A byteMeter adds up the bytes of the tracked connections of backends. The kernel counts them by connection, and
// forgets them with it, so the meter remembers each connection of the last readings. Connections that ended between two
// readings of the table are missing: TCP connections stay in it for 120 s after an orderly end, and for 10 s after a
// reset (nf_conntrack_proto_tcp.c).
//
// A connection that is new in a reading counts from its begin. The ones of a backend that is new itself count from that
// reading on: they may have begun long before, through another farm.
type byteMeter struct {
	seed     maphash.Seed
	round    uint64
	seen     map[uint64]followed // by the hash of the entry
	totals   map[backendName]uint64
	backends map[backendName]*int // of the last reading
	overfull bool                 // there were more connections than maxFollowed
}

// A followed connection has the bytes of the last round in which it was in the table.
type followed struct{ bytes, round uint64 }

func newByteMeter() *byteMeter {
	return &byteMeter{seed: maphash.MakeSeed(), seen: map[uint64]followed{}, totals: map[backendName]uint64{}}
}

// note adds what an entry of the table has carried since the last reading.
func (m *byteMeter) note(of backendName, e conntrack.Entry) {
	if e.Counted {
		m.add(of, e.Hash(m.seed), e.Bytes)
	}
}

// add adds what a connection, known by its hash, has carried since the last reading. It carried so many bytes so far.
func (m *byteMeter) add(of backendName, id, bytes uint64) {
	last, known := m.seen[id]
	if !known && len(m.seen) >= maxFollowed {
		m.overfull = true
		return
	}
	switch {
	case known && bytes >= last.bytes:
		m.totals[of] += bytes - last.bytes
	case known || m.backends[of] != nil:
		m.totals[of] += bytes
	}
	m.seen[id] = followed{bytes, m.round}
}

// end ends a reading of the connections of backends. A connection is forgotten when two readings in a row lack it: one
// that comes back would count twice.
func (m *byteMeter) end(backends map[backendName]*int) {
	for id, of := range m.seen {
		if of.round+1 < m.round {
			delete(m.seen, id)
		}
	}
	for name := range m.totals {
		if backends[name] == nil {
			delete(m.totals, name)
		}
	}
	m.backends = backends
	m.round++
}

// byteMeter returns the meter of an engine that measures all farms again and again; nil if the kernel counts no bytes.
func (e *Engine) byteMeter(counts bool) *byteMeter {
	memory := e.memory()
	switch {
	case !counts:
		memory.bytes = nil
	case memory.bytes == nil || memory.bytes.overfull:
		memory.bytes = newByteMeter()
	}
	return memory.bytes
}

// whyNoBytes tells why the kernel counts no bytes of connections; "" if it does.
func whyNoBytes() string {
	if conntrack.CountsBytes() {
		return ""
	}
	return fmt.Sprintf("the kernel counts no bytes: sysctl -w %s=1 has it count those of new connections",
		conntrack.AccountingSwitch)
}

// setBytes sets the bytes of the backends with tracked connections.
func (m *Measures) setBytes(meter *byteMeter) {
	if meter.overfull {
		m.NoBytes = fmt.Sprintf("there are more than %d connections of farms", maxFollowed)
		return
	}
	m.eachBackend(func(name string, b *BackendStatus) {
		if b.Open != nil {
			n := meter.totals[backendName{name, b.Name}]
			b.Bytes = &n
		}
	})
}

// Package event keeps the last events of farmc watch for programs that follow them. It knows no farms and no HTTP.
//
// A Stream has the events, and a Cursor is the place of one reader in it. To publish never waits for a reader: a reader
// that is too slow loses events, and its cursor tells how many.
package event

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Kind says what an event is about.
type Kind string

// The kinds. Lost is about events that a reader has missed; it is not in the stream.
const (
	Load         Kind = "load"          // a load, also one that failed
	Backend      Kind = "backend"       // states or weights of backends changed by a load
	Health       Kind = "health"        // backends became healthy or unhealthy
	Panic        Kind = "panic"         // unhealthy backends of a farm serve, or no longer do
	Faults       Kind = "faults"        // the faults in the files are others now
	Tampering    Kind = "tampering"     // another program changed the rules
	Ban          Kind = "ban"           // a client was banned by a command or a request
	Unban        Kind = "unban"         // the same was ended
	Finding      Kind = "finding"       // a finding about the machine appeared, or has another text
	FindingEnded Kind = "finding-ended" // a finding ended
	Lost         Kind = "lost"
)

// Kinds are all kinds.
var Kinds = []Kind{Load, Backend, Health, Panic, Faults, Tampering, Ban, Unban, Finding, FindingEnded, Lost}

// An Event is a line of JSON with an ID.
type Event struct {
	ID   string // of the stream and of the number; "": of no event in the stream
	Kind Kind
	Data []byte
}

// Size limits of a stream: the memory that it takes is bounded.
const (
	DefaultLength = 1000     // events
	maxBytes      = 16 << 20 // of all their data
)

// A Stream has the last events. All methods can be called at once.
type Stream struct {
	id     string // of the process: an ID of an older process is of no event here
	length int

	mu     sync.Mutex
	events []Event // the oldest first
	bytes  int     // of their data
	next   uint64  // number of the next event
	news   chan struct{}
}

// NewStream returns a stream that keeps so many events.
func NewStream(length int) *Stream {
	return &Stream{id: strconv.FormatInt(time.Now().UnixNano(), 36), length: length, next: 1,
		news: make(chan struct{})}
}

// Publish adds an event with the data as JSON, and wakes the readers.
func (s *Stream) Publish(kind Kind, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // events hold texts, numbers and times
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, Event{ID: fmt.Sprintf("%s-%d", s.id, s.next), Kind: kind, Data: text})
	s.next++
	s.bytes += len(text)
	for len(s.events) > s.length || s.bytes > maxBytes && len(s.events) > 1 {
		s.bytes -= len(s.events[0].Data)
		s.events[0] = Event{}
		s.events = s.events[1:]
	}
	close(s.news)
	s.news = make(chan struct{})
}

// A Cursor is the place of a reader in a stream. One goroutine can use it.
type Cursor struct {
	stream  *Stream
	next    uint64 // number of the next event
	unknown bool   // events before next were lost, their number is not known
}

// Follow returns a cursor for the events from now on.
func (s *Stream) Follow() *Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Cursor{stream: s, next: s.next}
}

// After returns a cursor for the events after the one with the ID. If the stream never had it, all events that the
// stream still has follow, after one of kind Lost.
func (s *Stream) After(id string) *Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	process, digits, _ := strings.Cut(id, "-")
	number, err := strconv.ParseUint(digits, 10, 64)
	if process != s.id || err != nil || number >= s.next {
		return &Cursor{stream: s, next: s.first(), unknown: true}
	}
	return &Cursor{stream: s, next: number + 1}
}

// first is the number of the oldest event.
func (s *Stream) first() uint64 { return s.next - uint64(len(s.events)) }

// lostData is the data of an event of kind Lost.
type lostData struct {
	Events *uint64 `json:"events"` // null: not known
}

// Take returns the events since the last call, and a channel that is closed when there are more.
func (c *Cursor) Take() (events []Event, more <-chan struct{}) {
	s := c.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.first(); c.unknown {
		events = append(events, lost(nil))
	} else if c.next < first {
		n := first - c.next
		events = append(events, lost(&n))
	}
	c.unknown = false
	from := max(c.next, s.first())
	events = append(events, s.events[from-s.first():]...)
	c.next = s.next
	return events, s.news
}

func lost(n *uint64) Event {
	text, err := json.Marshal(lostData{n})
	if err != nil {
		panic(err)
	}
	return Event{Kind: Lost, Data: text}
}

// Wait waits for more events, for the time or for the end of ctx, and reports whether ctx goes on.
func Wait(ctx context.Context, more <-chan struct{}, long time.Duration) bool {
	late := time.NewTimer(long)
	defer late.Stop()
	select {
	case <-more:
	case <-late.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

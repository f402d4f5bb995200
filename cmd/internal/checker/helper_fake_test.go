package checker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fake is farms, backends and farmc watch in one. Its fields can be changed while a checker runs.
type fake struct {
	mu       sync.Mutex
	checks   []Check
	version  int
	seen     int
	present  map[Name]Verdict
	away     bool // farmc watch does not answer
	refuses  map[Name]bool
	requests []string // of words, in order
	words    map[Name]Word
	log      strings.Builder
}

func (f *fake) with(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) set(checks ...Check) {
	f.with(func() { f.checks = checks; f.version++ })
}

var errAway = errors.New("connection refused")

func (f *fake) Checks(context.Context) ([]Check, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.away:
		return nil, errAway
	case f.seen == f.version:
		return nil, ErrSame
	}
	f.seen = f.version
	return slices.Clone(f.checks), nil
}

func (f *fake) Present(context.Context, []Name) (map[Name]Verdict, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.present), nil
}

func (f *fake) Say(_ context.Context, words []Word) (map[int]error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return nil, errAway
	}
	refused := map[int]error{}
	var said []string
	for i, w := range words {
		if f.refuses[w.Name] {
			refused[i] = errors.New("refused")
		} else if f.words[w.Name] = w; w.Withdrawn {
			delete(f.words, w.Name)
		}
		said = append(said, brief(w))
	}
	slices.Sort(said)
	f.requests = append(f.requests, strings.Join(said, ", "))
	return refused, nil
}

// brief is a word in short, such as "b1 down: refused".
func brief(w Word) string {
	state := "up"
	switch {
	case w.Withdrawn:
		return w.Backend + " withdrawn"
	case !w.Healthy:
		state = "down"
	case w.Percent != 100:
		state = fmt.Sprint(w.Percent, "%")
	}
	return w.Backend + " " + state + ": " + w.Reason
}

// word returns the last word about a backend of farm web.
func (f *fake) word(backend string) Word {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.words[Name{"web", backend}]
}

// said returns the requests since the last call, and forgets them.
func (f *fake) said() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := strings.Join(f.requests, " | ")
	f.requests = nil
	return out
}

// allSaid is said, in parts.
func (f *fake) allSaid() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.requests
	f.requests = nil
	return out
}

func (f *fake) logged() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.log.String()
	f.log.Reset()
	return out
}

// run runs a checker within a bubble of synctest, until the test ends.
func (f *fake) run(t *testing.T) *Checker {
	t.Helper()
	return f.runWith(t, newSlots(networkSlots()))
}

// runWith is run with other slots for checks.
func (f *fake) runWith(t *testing.T, network *slots) *Checker {
	t.Helper()
	c := &Checker{Farms: f, Listen: f, Poll: time.Second, Log: func(format string, args ...any) {
		f.with(func() { fmt.Fprintf(&f.log, format+"\n", args...) })
	}, slots: map[Kind]*slots{Network: network}}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	t.Cleanup(func() { end(); <-done })
	return c
}

func newFake() *fake {
	return &fake{words: map[Name]Word{}, refuses: map[Name]bool{}, present: map[Name]Verdict{}}
}

// A server is a backend that a test controls.
type server struct {
	mu     sync.Mutex
	result Result
	takes  time.Duration
	starts []time.Time
}

func (s *server) set(r Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result = r
}

func (s *server) probe(ctx context.Context) Result {
	s.mu.Lock()
	r, takes := s.result, s.takes
	s.starts = append(s.starts, time.Now())
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	r.Took = max(takes, r.Took)
	return r
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.starts)
}

var (
	passed  = Result{Healthy: true, Percent: 100, Reason: "ok"}
	refused = Result{Percent: 100, Reason: "refused"}
)

// check is a check of backend b1 of farm web, with rise 2 and fall 3, each second.
func (s *server) check(change ...func(*Check)) Check {
	c := Check{Name: Name{"web", "b1"}, Run: s.probe,
		Timing: Timing{Interval: time.Second, Fast: time.Second, Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3}}
	for _, f := range change {
		f(&c)
	}
	return c
}

// wait lets time pass, and all goroutines do their work.
func wait(long time.Duration) {
	time.Sleep(long)
	synctest.Wait()
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

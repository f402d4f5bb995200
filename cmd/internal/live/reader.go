package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"farmc/cmd/internal/statedir"
	"farmc/cmd/internal/unifieddiff"
	"farmc/compiler/farm"
)

// A Reader answers questions of other programs about the farms while an Engine applies them. It reads the snapshots
// that watch publishes, and takes no lock, so no question delays a load. Questions that ask the kernel or nft wait for
// one of a few turns, so many of them leave the processors to the loads. All methods can be called at once.
type Reader struct {
	engine *Engine    // without the directories: it reads no file of a farm
	dirs   []farm.Dir // of farms that are not ready: watch does not look for them, so no snapshot has them
	meter  *Engine    // the same, of Measures
	now    atomic.Pointer[Snapshot]
	turns  chan struct{} // of questions about the kernel
	checks chan struct{} // of checks by nft, which take longest

	yielding // checks to loads

	warms bool // the documents of farms are made before a request asks for them

	// Equal questions at the same time have one answer.
	status, farm, difference, measuring, outlining singleflight.Group

	last lastMeasures
}

// readerTurns is the number of questions that the kernel answers at once.
const readerTurns = 2

// maxTurn is the longest wait for a turn.
const maxTurn = 10 * time.Second

// Errors of a Reader.
var (
	ErrNoSnapshot = errors.New("farmc watch has not read the farms yet")
	ErrBusy       = errors.New("other requests keep farmc busy")
	ErrNoFarm     = errors.New("there is no such farm")
	ErrNotLoaded  = errors.New("the farm is not loaded: run farmc check")
)

// A wordedError has words of its own, and is one of the errors of the package.
type wordedError struct {
	error
	class error
}

func (w wordedError) Is(target error) bool { return target == w.class }

func (w wordedError) Unwrap() error { return w.error }

func worded(class error, format string, args ...any) error {
	return wordedError{fmt.Errorf(format, args...), class}
}

// NewReader returns a reader that asks the kernel and nft as e does. It shares none of e's caches, and logs nothing.
// Its status and its measures share the elements that count.
func NewReader(e *Engine) *Reader {
	quiet := func(string, ...any) {}
	own := Engine{Nft: e.Nft, Store: statedir.Store{Dir: e.Store.Dir}, Log: quiet, Insecure: e.Insecure,
		ResolvesHosts: e.ResolvesHosts, counted: &counterCache{}}
	meter := own
	own.memory()
	meter.memory()
	return &Reader{engine: &own, meter: &meter, dirs: e.Dirs, turns: make(chan struct{}, readerTurns),
		checks: make(chan struct{}, 1)}
}

// Remember has the reader tell what this process remembers of the health of backends. It comes before the first use.
func (r *Reader) Remember(records Records) { r.engine.Records, r.meter.Records = records, records }

// KeepWarm has the documents of farms made before a request asks for them. It comes before the first use.
func (r *Reader) KeepWarm() { r.warms = true }

// Publish makes a snapshot the current one. A nil snapshot changes nothing.
func (r *Reader) Publish(s *Snapshot) {
	if s == nil {
		return
	}
	r.now.Store(s)
	if r.warms {
		go r.prepare(s)
	}
}

// prepare makes the documents of the farms, so that the first request for them is as fast as later ones. It ends when
// the snapshot is no longer the current one: its successor keeps the documents of farms that did not change.
func (r *Reader) prepare(s *Snapshot) {
	for _, f := range s.Readings {
		if r.Current() != s {
			return
		}
		f.Document()
	}
}

// Current returns the current snapshot; nil before the first one.
func (r *Reader) Current() *Snapshot { return r.now.Load() }

// turn waits for one of the turns, and returns the current snapshot.
func (r *Reader) turn(ctx context.Context, turns chan struct{}) (s *Snapshot, end func(), err error) {
	late := time.NewTimer(maxTurn)
	defer late.Stop()
	select {
	case turns <- struct{}{}:
	case <-late.C:
		return nil, nil, ErrBusy
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if s = r.Current(); s == nil {
		<-turns
		return nil, nil, ErrNoSnapshot
	}
	return s, func() { <-turns }, nil
}

// Status is Engine.Status of all farms without reading their files: the last look of watch found the changes that are
// not applied.
func (r *Reader) Status(ctx context.Context) (Status, error) {
	return shared(ctx, &r.status, "", func() (Status, error) { return r.statusNow(context.WithoutCancel(ctx), "") })
}

// StatusOf is the status of one farm, or of all if name is "", with rates since the last one or within a time. No other
// request shares the answer. It waits for no load, and keeps none waiting.
func (r *Reader) StatusOf(ctx context.Context, name string, rates time.Duration) (Status, error) {
	s, err := r.statusNow(ctx, name)
	if err == nil {
		err = r.engine.SetRates(ctx, &s, rates)
	}
	return s, err
}

// shared asks a question, unless the same one is being answered: then it waits for that answer.
func shared[A any](ctx context.Context, group *singleflight.Group, question string, ask func() (A, error)) (A, error) {
	var none A
	select {
	case got := <-group.DoChan(question, func() (any, error) { return ask() }):
		return got.Val.(A), got.Err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

func (r *Reader) statusNow(ctx context.Context, name string) (Status, error) {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return Status{}, err
	}
	defer end()
	if err := s.known(); err != nil {
		status := newStatus()
		status.setFaults(s.files)
		status.setIncomplete(r.dirs, name)
		return status, err
	}
	status, err := r.engine.statusOf(ctx, s.last, s.loaded, s.files, name)
	status.setIncomplete(r.dirs, name)
	return status, err
}

// known returns an error if the farms loaded last are not known.
func (s *Snapshot) known() error {
	switch {
	case s.last.Script == nil:
		return ErrNothingLoaded
	case s.loaded == nil || s.loaded.script == nil:
		return errUnknown
	}
	return nil
}

// FarmStatus returns the state of one farm of the last load.
func (r *Reader) FarmStatus(ctx context.Context, name string) (FarmStatus, error) {
	return shared(ctx, &r.farm, name, func() (FarmStatus, error) {
		return r.farmStatusNow(context.WithoutCancel(ctx), name)
	})
}

func (r *Reader) farmStatusNow(ctx context.Context, name string) (FarmStatus, error) {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return FarmStatus{}, err
	}
	defer end()
	if err := s.known(); err != nil {
		return FarmStatus{}, err
	}
	f, err := findFarm(s.loaded, name)
	if err != nil {
		return FarmStatus{}, fmt.Errorf("%w: %w", ErrNoFarm, err)
	}
	return r.engine.farmStatus(ctx, s.last, s.loaded, f)
}

// A Difference is the difference between the farms loaded last and the files.
type Difference struct {
	Changes []string `json:"changes"` // one sentence each
	Reason  string   `json:"reason"`  // why all rules are loaded anew; "": no reason
	Blocked string   `json:"blocked"` // why apply would not load the files; "": it would
	Diff    string   `json:"diff"`    // unified, from the script loaded last to that of the files
}

// Difference returns the changes that an apply would make. ErrFaulty says that the files have faults.
func (r *Reader) Difference(ctx context.Context) (Difference, error) {
	return shared(ctx, &r.difference, "", func() (Difference, error) {
		return r.differenceNow(context.WithoutCancel(ctx))
	})
}

func (r *Reader) differenceNow(ctx context.Context) (Difference, error) {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return Difference{}, err
	}
	defer end()
	if s.Script() == nil {
		return Difference{}, ErrFaulty
	}
	p, err := r.engine.planAfter(ctx, s.last, s.files, "")
	if err != nil {
		return Difference{}, err
	}
	blocked, err := r.engine.blocked(s.files)
	if err != nil {
		return Difference{}, err
	}
	d := Difference{Changes: append([]string{}, p.Changes...), Reason: p.Reason}
	if blocked != nil {
		d.Blocked = blocked.Error()
	}
	var text strings.Builder
	err = unifieddiff.Write(&text, string(p.Before.Script), string(p.Script.Text), "loaded", "farms", nil)
	d.Diff = text.String()
	return d, err
}

// Check checks whether the farms would load if the files had these texts, by the names of the farms; nil for a farm
// that is removed. It changes nothing.
func (r *Reader) Check(ctx context.Context, texts map[string][]byte) (TrialCheck, error) {
	s, end, err := r.turn(ctx, r.checks)
	if err != nil {
		return TrialCheck{}, err
	}
	defer end()
	return r.between(ctx, func(ctx context.Context) (TrialCheck, error) {
		return r.engine.checkRequest(ctx, s, texts)
	})
}

// History returns the last loads, the current one first.
func (r *Reader) History() ([]statedir.HistoryEntry, error) { return r.engine.Store.History() }

// Bans returns the banned clients of a farm.
func (r *Reader) Bans(ctx context.Context, name string) ([]BanStatus, error) {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return nil, err
	}
	defer end()
	f, err := s.loadedFarm(name)
	if err != nil {
		return nil, err
	}
	return r.engine.bans(ctx, f)
}

package manage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
)

// A Backend names a backend of a farm.
type Backend struct{ Farm, Name string }

// A Saying is a word about a backend, or takes back the words of a checker.
type Saying struct {
	Backend
	health.Word
	Withdrawn bool // the word of the checker ends; without a name, the words of all
}

// ErrCheckers is the error for a word of one checker more.
var ErrCheckers = fmt.Errorf("at most %d checkers can have a word about a backend", maxCheckers)

// maxCheckers is the number of words that a backend can have.
const maxCheckers = 16

// Health keeps the last words of checkers, and judges backends by them. Words that take a backend out, or part of its
// weight, are in a drop-in, which outlasts this process. The others are in memory: without them a backend serves as its
// files say. Healthy words about a backend with start = "down" are in a drop-in as well, because its checker begins
// with an unhealthy word if there is none.
type Health struct {
	Farms    func() *live.Snapshot // of the last look; nil before the first one
	Write    func(ctx context.Context, by string, writes []live.Write) []live.WriteResult
	DryRun   bool               // nothing is kept
	Patience time.Duration      // longest wait of a word; then its error is live.ErrBusy. 0: live.MaxQueued
	Heard    func(Saying)       // is called for each word about a backend that exists; nil: none is
	Judged   func([]Judgements) // is called for farms with other verdicts in force; nil: none is

	*memory
}

// Judgements are the new verdicts about backends of a farm.
type Judgements struct {
	Farm      string
	Panic     bool // unhealthy backends serve, because too few are healthy
	WasPanic  bool
	Unhealthy int // backends
	Backends  []Judged
}

// A Judged is a backend with another verdict than before.
type Judged struct {
	Name string
	health.Record
	Was health.Verdict
}

// NewHealth returns a Health without words.
func NewHealth(farms func() *live.Snapshot,
	write func(ctx context.Context, by string, writes []live.Write) []live.WriteResult,
) *Health {
	return &Health{Farms: farms, Write: write, memory: &memory{farms: map[string]*farmHealth{}}}
}

// WithoutEffect returns a Health that only tells the changes of words.
func (h *Health) WithoutEffect() *Health {
	return &Health{Farms: h.Farms, Write: h.Write, DryRun: true, Patience: h.Patience, memory: h.memory}
}

// WithPatience returns a Health with a longest wait of words for their turn.
func (h *Health) WithPatience(patience time.Duration) *Health {
	out := *h
	out.Patience = patience
	return &out
}

// An Outcome is the result of one word. Err is nil only if the word is in force.
type Outcome struct {
	Changes  []string // of the farm, a sentence each
	Warnings []live.FarmFault
	Err      error
}

// Say takes words, and loads their changes in one load. The outcomes are in the order of the words.
func (h *Health) Say(ctx context.Context, by string, sayings []Saying) []Outcome {
	outcomes := make([]Outcome, len(sayings))
	for _, together := range h.together(sayings) {
		h.say(ctx, by, together, outcomes)
	}
	return outcomes
}

// A numbered saying has the index of its outcome.
type numbered struct {
	Saying
	index int
}

// together returns the words that come in one load. Words of a dry run come farm by farm, as each farm is compiled by
// itself: loads of others, and judgements of the other farms, come between.
func (h *Health) together(sayings []Saying) (loads [][]numbered) {
	loadOf := map[string]int{}
	for i, s := range sayings {
		key := ""
		if h.DryRun {
			key = s.Farm
		}
		at, has := loadOf[key]
		if !has {
			at = len(loads)
			loadOf[key], loads = at, append(loads, nil)
		}
		loads[at] = append(loads[at], numbered{s, i})
	}
	return loads
}

// say takes words, loads their changes in one load, and sets their outcomes.
func (h *Health) say(ctx context.Context, by string, sayings []numbered, outcomes []Outcome) {
	farms, now := h.Farms(), time.Now()
	batch, byFarm := newBatch(h, now), map[string][]numbered{}
	for _, n := range sayings {
		i, s := n.index, n.Saying
		if farms == nil {
			outcomes[i].Err = live.ErrNoSnapshot
			continue
		}
		if outcomes[i].Err = s.admit(farms); outcomes[i].Err != nil {
			continue
		}
		if h.Heard != nil && !h.DryRun && !s.Withdrawn {
			h.Heard(s)
		}
		byFarm[s.Farm] = append(byFarm[s.Farm], n)
	}
	for name, words := range byFarm {
		for _, n := range h.takeAtOnce(farms, name, words, now) {
			batch.add(n.index, n.Saying)
		}
	}
	batch.load(ctx, by, outcomes)
}

// admit returns why no word about the backend can be taken.
func (s Saying) admit(farms *live.Snapshot) error {
	f, err := farms.FarmWith(s.Farm, s.Name)
	if err == nil && f.HostOf(s.Name) != nil && !s.Withdrawn {
		return Blocked{fmt.Sprintf("backend %s has a hostname: a word is about one of its addresses, such as %[1]s@%s",
			s.Name, "10.0.0.11")}
	}
	return err
}

// Pauses of Run. A pause that is longer by the tolerance was one of the whole process, which has heard no checker
// meanwhile.
const (
	judgePause     = 500 * time.Millisecond
	pauseTolerance = time.Second
)

// Run loads the changes that time brings until ctx is done: words lapse, slow starts go on, and a change of a file is
// one of the rules.
func (h *Health) Run(ctx context.Context) {
	last := time.Now()
	for tick := time.NewTicker(judgePause); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		now := time.Now()
		if pause := now.Sub(last) - judgePause; pause > pauseTolerance {
			h.excuse(pause)
		}
		h.judgeAgain(ctx, now)
		last = time.Now() // the load was no pause of the process, and words were heard
	}
}

// judgeAgain loads the verdicts that changed with time or with the files. Farms that are gone are forgotten.
func (h *Health) judgeAgain(ctx context.Context, now time.Time) {
	farms := h.Farms()
	if farms == nil {
		return
	}
	batch := newBatch(h, now)
	for _, name := range h.due(farms, now) {
		batch.addFarm(name)
	}
	batch.load(ctx, "health", nil)
}

// Words returns the words about a backend, and their verdict.
func (h *Health) Words(b Backend, now time.Time) (health.Record, error) {
	farms := h.Farms()
	if farms == nil {
		return health.Record{}, live.ErrNoSnapshot
	}
	if _, err := farms.FarmWith(b.Farm, b.Name); err != nil {
		return health.Record{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.farm(farms, b.Farm, now).records.of(b.Name), nil
}

// Records returns the records of the backends of a farm that checkers speak about, by name.
func (h *Health) Records(farm string) map[string]health.Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.farms[farm]; f != nil {
		return maps.Clone(f.records)
	}
	return nil
}

// A batch is words about farms on their way to one load.
type batch struct {
	*Health
	now   time.Time
	farms map[string]*farmWords
}

func newBatch(h *Health, now time.Time) *batch { return &batch{h, now, map[string]*farmWords{}} }

// add adds a word. The index is that of its outcome.
func (b *batch) add(index int, s Saying) {
	f := b.addFarm(s.Farm)
	f.sayings, f.indexes = append(f.sayings, s), append(f.indexes, index)
	f.patience = cmp.Or(b.Patience, live.MaxQueued)
}

// addFarm adds a farm that is judged again.
func (b *batch) addFarm(name string) *farmWords {
	if b.farms[name] == nil {
		b.farms[name] = &farmWords{memory: b.memory, farm: name, now: b.now}
	}
	return b.farms[name]
}

// load writes and loads the words of all farms as one step, and sets their outcomes.
func (b *batch) load(ctx context.Context, by string, outcomes []Outcome) {
	if len(b.farms) == 0 {
		return
	}
	var all []*farmWords
	var writes []live.Write
	for _, name := range slices.Sorted(maps.Keys(b.farms)) {
		all = append(all, b.farms[name])
		writes = append(writes, b.farms[name].write(b.DryRun))
	}
	results := b.Write(ctx, by, writes)
	var judged []Judgements
	for i, f := range all {
		if of := f.end(results[i].Err == nil && !b.DryRun); len(of.Backends) > 0 {
			judged = append(judged, of)
		}
		for saying, at := range f.indexes {
			outcomes[at] = f.outcome(saying, results[i])
		}
	}
	if b.Judged != nil && len(judged) > 0 {
		b.Judged(judged)
	}
}

// memory has the health of the farms that checkers speak about.
type memory struct {
	mu       sync.Mutex
	farms    map[string]*farmHealth
	snapshot *live.Snapshot // of the last call of due
}

// farm returns the health of a farm. The first time it has the words that an earlier process kept.
func (m *memory) farm(farms *live.Snapshot, name string, now time.Time) *farmHealth {
	f := m.farms[name]
	if f == nil {
		f = newFarmHealth(farms, name, now)
		m.farms[name] = f
	}
	return f
}

// due returns the farms with another verdict than the one in force, and counts them as being written. Farms that do not
// exist are forgotten.
func (m *memory) due(farms *live.Snapshot, now time.Time) (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.snapshot == nil {
		for _, name := range farms.HealthFarms() {
			m.farm(farms, name, now)
		}
	}
	changed := m.snapshot != farms
	m.snapshot = farms
	for name, f := range m.farms {
		isDue := !f.next.IsZero() && !now.Before(f.next)
		if f.writing > 0 {
			f.missed = f.missed || changed
			continue
		}
		if !changed && !isDue && !f.missed {
			continue
		}
		f.missed = false
		switch known, hasChanged := f.refresh(farms); {
		case !known:
			delete(m.farms, name)
		case (isDue || hasChanged) && f.changesAt(now):
			f.writing++
			names = append(names, name)
		}
	}
	return names
}

// excuse moves all words by a pause of the process.
func (m *memory) excuse(pause time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.farms {
		for name, r := range f.records {
			f.records[name] = r.Excused(pause)
		}
		f.next = f.next.Add(pause)
	}
}

// takeAtOnce takes the words about a farm that change no drop-in, and returns the other ones.
func (h *Health) takeAtOnce(farms *live.Snapshot, name string, words []numbered, now time.Time) (rest []numbered) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.farm(farms, name, now)
	known, changed := f.refresh(farms)
	if changed {
		f.next = now
	}
	if rest = words; known && f.writing == 0 {
		rest = f.take(words, now, h.DryRun)
	}
	f.writing += len(rest) // until end
	return rest
}

package manage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// A Backend names a backend of a farm.
type Backend struct{ Farm, Name string }

// A Saying is a word about a backend, or takes back the words of a checker.
type Saying struct {
	Backend
	health.Word
	Withdrawn bool // the word of the checker ends; without a name, the words of all

	lapsed bool // nothing is said: the words are judged again
}

// ErrCheckers is the error for a word of one checker more.
var ErrCheckers = fmt.Errorf("at most %d checkers can have a word about a backend", maxCheckers)

// maxCheckers is the number of words that a backend can have.
const maxCheckers = 16

// Health keeps the last words of checkers. Words that take a backend out, or part of its weight, are in a drop-in,
// which outlasts this process. The others are in memory: without them a backend serves as its files say.
type Health struct {
	Farms  func() *live.Snapshot // of the last look; nil before the first one
	Write  func(ctx context.Context, by string, writes []live.Write) []live.WriteResult
	DryRun bool         // nothing is kept
	Heard  func(Saying) // is called for each word about a backend that exists; nil: none is

	*memory
}

// memory has the words, and counts the writes in progress about each backend.
type memory struct {
	mu       sync.Mutex
	words    map[Backend][]health.Word
	verdicts map[Backend]health.Verdict // in force
	writing  map[Backend]int
}

// NewHealth returns a Health without words.
func NewHealth(farms func() *live.Snapshot,
	write func(ctx context.Context, by string, writes []live.Write) []live.WriteResult,
) *Health {
	return &Health{Farms: farms, Write: write,
		memory: &memory{words: map[Backend][]health.Word{}, verdicts: map[Backend]health.Verdict{},
			writing: map[Backend]int{}}}
}

// WithoutEffect returns a Health that only tells the changes of words.
func (h *Health) WithoutEffect() *Health {
	return &Health{Farms: h.Farms, Write: h.Write, DryRun: true, memory: h.memory}
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
	farms, now := h.Farms(), time.Now()
	byFarm := map[string]*farmWords{}
	for i, s := range sayings {
		if farms == nil {
			outcomes[i].Err = live.ErrNoSnapshot
			continue
		}
		if _, outcomes[i].Err = farms.FarmWith(s.Farm, s.Name); outcomes[i].Err != nil {
			continue
		}
		if h.Heard != nil && !h.DryRun && !s.Withdrawn {
			h.Heard(s)
		}
		if h.takeAtOnce(farms, s, now) {
			continue
		}
		if byFarm[s.Farm] == nil {
			byFarm[s.Farm] = &farmWords{memory: h.memory, farm: s.Farm, now: now}
		}
		byFarm[s.Farm].add(i, s)
	}
	h.load(ctx, by, byFarm, outcomes)
	return outcomes
}

// lapsePause is the time between two looks for words that have lapsed.
const lapsePause = time.Second

// Run loads the changes that words cause by lapsing, until ctx is done.
func (h *Health) Run(ctx context.Context) {
	for tick := time.NewTicker(lapsePause); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case now := <-tick.C:
			h.judgeAgain(ctx, now)
		}
	}
}

// judgeAgain loads the verdicts that changed with time. Words about backends that are gone are forgotten.
func (h *Health) judgeAgain(ctx context.Context, now time.Time) {
	farms, byFarm := h.Farms(), map[string]*farmWords{}
	for _, b := range h.changedVerdicts(now) {
		if _, err := farms.FarmWith(b.Farm, b.Name); err != nil {
			h.forget(b)
			continue
		}
		if byFarm[b.Farm] == nil {
			byFarm[b.Farm] = &farmWords{memory: h.memory, farm: b.Farm, now: now}
		}
		byFarm[b.Farm].add(0, Saying{Backend: b, lapsed: true})
	}
	h.load(ctx, "health", byFarm, make([]Outcome, 1))
}

// changedVerdicts returns the backends with another verdict than the one in force.
func (h *Health) changedVerdicts(now time.Time) (out []Backend) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for b, words := range h.words {
		if h.writing[b] == 0 && health.Judge(words, now) != h.verdicts[b] {
			h.writing[b]++
			out = append(out, b)
		}
	}
	return out
}

// forget drops the words about a backend.
func (m *memory) forget(b Backend) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.words, b)
	delete(m.verdicts, b)
	delete(m.writing, b)
}

// takeAtOnce takes a word that changes no drop-in, and returns false for another one.
func (h *Health) takeAtOnce(farms *live.Snapshot, s Saying, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	words, known := h.words[s.Backend]
	if !known {
		words = freshened(health.Parse(farms.HealthDropIn(s.Farm, s.Name)), now)
	}
	after, err := s.applyTo(words)
	if err != nil || h.writing[s.Backend] > 0 || !sameEffect(words, after, now) {
		h.writing[s.Backend]++ // until done
		return false
	}
	if !h.DryRun {
		h.keep(s.Backend, after, now)
	}
	return true
}

// keep sets the words about a backend, which are in force. None are kept as well: the last look of watch can be older,
// and still have their drop-in. The caller holds the mutex.
func (m *memory) keep(b Backend, words []health.Word, now time.Time) {
	m.words[b], m.verdicts[b] = words, health.Judge(words, now)
}

// freshened returns words that another process kept, so that no checker counts as silent before it could speak.
func freshened(words []health.Word, now time.Time) (out []health.Word) {
	for _, w := range words {
		out = append(out, w.Fresh(now))
	}
	return out
}

// sameEffect reports whether the drop-in would be the same but for reasons and times.
func sameEffect(before, after []health.Word, now time.Time) bool {
	was, is := health.Judge(before, now), health.Judge(after, now)
	if was != is || is.IsNeutral() {
		return was == is
	}
	return slices.EqualFunc(before, after, func(a, b health.Word) bool { return a.By == b.By && a.Same(b) })
}

// applyTo returns the words after the new one, sorted by checker.
func (s Saying) applyTo(words []health.Word) ([]health.Word, error) {
	if s.lapsed {
		return words, nil
	}
	out := slices.DeleteFunc(slices.Clone(words), func(w health.Word) bool {
		return w.By == s.By || s.Withdrawn && s.By == ""
	})
	if s.Withdrawn {
		return out, nil
	}
	if len(out) == maxCheckers {
		return nil, ErrCheckers
	}
	out = append(out, s.Word)
	slices.SortFunc(out, func(a, b health.Word) int { return strings.Compare(a.By, b.By) })
	return out, nil
}

// load writes and loads the words of all farms as one step, and sets their outcomes.
func (h *Health) load(ctx context.Context, by string, byFarm map[string]*farmWords, outcomes []Outcome) {
	if len(byFarm) == 0 {
		return
	}
	var all []*farmWords
	var writes []live.Write
	for _, name := range slices.Sorted(maps.Keys(byFarm)) {
		all = append(all, byFarm[name])
		writes = append(writes, byFarm[name].write(h.DryRun))
	}
	results := h.Write(ctx, by, writes)
	for i, f := range all {
		f.end(results[i].Err == nil && !h.DryRun)
		for _, at := range f.indexes {
			outcomes[at] = Outcome{results[i].ChangesOf(f.farm), results[i].Warnings, results[i].Err}
		}
	}
}

// farmWords are the new words about backends of one farm on their way.
type farmWords struct {
	*memory
	farm    string
	now     time.Time
	sayings []Saying
	indexes []int // of the sayings

	after map[Backend][]health.Word // result of changes
}

func (f *farmWords) add(index int, s Saying) {
	f.sayings, f.indexes = append(f.sayings, s), append(f.indexes, index)
}

// write returns the write of the drop-ins.
func (f *farmWords) write(dryRun bool) live.Write {
	return live.Write{Item: f.farm + ".toml", Changes: f.changes, Check: f.check, Urgent: true, DryRun: dryRun}
}

// changes returns the changes of the drop-ins of all backends. The drop-ins are read again, because words of other
// requests can have changed them meanwhile.
func (f *farmWords) changes(files live.Files) (changes []source.Change, err error) {
	f.after = map[Backend][]health.Word{}
	for _, s := range f.sayings {
		words, known := f.after[s.Backend]
		if !known {
			if words, err = f.before(files, s.Backend); err != nil {
				return nil, err
			}
		}
		if f.after[s.Backend], err = s.applyTo(words); err != nil {
			return nil, err
		}
	}
	for b, words := range f.after {
		more, err := dropIn(files, b, words, f.now)
		if err != nil {
			return nil, err
		}
		changes = append(changes, more...)
	}
	return changes, nil
}

// before returns the words in memory and in the drop-in of a backend.
func (f *farmWords) before(files live.Files, b Backend) ([]health.Word, error) {
	_, text, err := files.Find(source.HealthDropIn(b.Farm, b.Name))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if words, known := f.words[b]; known {
		return words, nil
	}
	return freshened(health.Parse(text), f.now), nil
}

// dropIn returns the changes for the drop-in of the words.
func dropIn(files live.Files, b Backend, words []health.Word, now time.Time) ([]source.Change, error) {
	name, verdict := source.HealthDropIn(b.Farm, b.Name), health.Judge(words, now)
	if verdict.IsNeutral() {
		return files.Remove(name)
	}
	dirs := files.Dirs()
	return files.Replace(dirs[len(dirs)-1]+"/"+name, verdict.Text(b.Name, words))
}

// check returns why a backend takes clients in spite of the words, or nil.
func (f *farmWords) check(farms []*farm.Farm) error {
	i := slices.IndexFunc(farms, func(of *farm.Farm) bool { return of.Name == f.farm })
	if i < 0 {
		return fmt.Errorf("farm %s is not loaded: run farmc check", f.farm)
	}
	for _, b := range farms[i].Backends {
		words, said := f.after[Backend{f.farm, b.Name}]
		if said && !obeys(b, health.Judge(words, f.now)) {
			return fmt.Errorf("backend %s: %w", b.Name, live.ErrOtherState)
		}
	}
	return nil
}

// obeys reports whether a backend serves no more than the verdict says.
func obeys(b farm.Backend, v health.Verdict) bool {
	switch {
	case v.Down:
		return b.State == farm.Down
	case v.Percent == 0:
		return b.State != farm.Up
	}
	return b.Percent == v.Percent%100
}

// end keeps the words, if they are in force.
func (f *farmWords) end(inForce bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for b, words := range f.after {
		if inForce {
			f.keep(b, words, f.now)
		}
	}
	for _, s := range f.sayings {
		if f.writing[s.Backend]--; f.writing[s.Backend] <= 0 {
			delete(f.writing, s.Backend)
		}
	}
}

// Words returns the words about a backend, and their verdict.
func (h *Health) Words(b Backend, now time.Time) ([]health.Word, health.Verdict, error) {
	farms := h.Farms()
	if farms == nil {
		return nil, health.Verdict{}, live.ErrNoSnapshot
	}
	if _, err := farms.FarmWith(b.Farm, b.Name); err != nil {
		return nil, health.Verdict{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	words, known := h.words[b]
	if !known {
		words = health.Parse(farms.HealthDropIn(b.Farm, b.Name))
	}
	return words, health.Judge(words, now), nil
}

package manage

import (
	"maps"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// A farmHealth is the health of the backends of one farm.
type farmHealth struct {
	name string
	rules
	records records         // in force
	gone    map[string]bool // names of drop-ins about addresses that left the answers of DNS
	writing int             // writes on their way
	missed  bool            // the files changed during a write
	next    time.Time       // of the next judgement; zero: only a word or a file brings one
}

// records are the records of the backends of a farm, by name. A backend without a record has no words.
type records map[string]health.Record

// of returns the record of a backend.
func (r records) of(backend string) health.Record {
	if record, known := r[backend]; known {
		return record
	}
	return health.NewRecord()
}

// rules are the keys of [health] of a farm, and the states of its backends in its files.
type rules struct {
	farm    *farm.Farm            // that they are of
	judging []health.Rules        // of each backend, in the order of the farm
	base    map[string]baseWeight // nil: no file sets a weight in percent, and no rule asks for states in files
}

// A baseWeight is how much of a backend's weight counts by files other than the drop-in of its health.
type baseWeight struct {
	percent int
	off     bool // another file takes the backend out
}

// newFarmHealth returns the health of a farm with the words in its drop-ins.
func newFarmHealth(farms *live.Snapshot, name string, now time.Time) *farmHealth {
	f := &farmHealth{name: name, records: records{}, gone: map[string]bool{}}
	for _, dropIn := range farms.HealthDropInsOfAddresses(name) {
		f.gone[dropIn] = true
	}
	if known, _ := f.refresh(farms); !known {
		return f
	}
	for _, b := range f.farm.Backends {
		delete(f.gone, source.HealthDropIn(name, b.Name))
		if text := farms.HealthDropIn(name, b.Name); text != nil {
			f.records[b.Name] = health.Parse(text).Resumed(now)
		}
	}
	f.next = now
	return f
}

// refresh reads the rules of the farm anew if its files have changed. It returns false for a farm that does not exist.
func (f *farmHealth) refresh(farms *live.Snapshot) (known, changed bool) {
	now := farms.Farm(f.name)
	if now == nil || now == f.farm {
		return now != nil, false
	}
	reading, _ := farms.Reading(f.name)
	f.rules = newRules(now, reading)
	f.forgetAddresses()
	return true, true
}

// forgetAddresses forgets the words about addresses that DNS no longer gives. An address that comes back begins anew.
func (f *farmHealth) forgetAddresses() {
	for name := range f.records {
		if _, _, isAddress := farm.SplitAddressName(name); isAddress && len(f.farm.Named(name)) == 0 {
			delete(f.records, name)
			f.gone[source.HealthDropIn(f.name, name)] = true
		}
	}
}

// newRules returns the rules of a farm. The reading is that of its files, or nil.
func newRules(f *farm.Farm, reading *farm.Reading) rules {
	r := rules{farm: f, judging: make([]health.Rules, len(f.Backends))}
	for i := range f.Backends {
		r.judging[i] = newRulesOf(f.HealthOf(&f.Backends[i]))
	}
	if reading == nil || r.panic() == 0 && !slices.ContainsFunc(r.judging, startsSlowly) &&
		!reading.Mentions("weight-percent", source.IsHealthDropIn) {
		return r
	}
	plain := reading.Without(source.IsHealthDropIn)
	if plain == nil {
		return r
	}
	r.base = map[string]baseWeight{}
	for _, b := range plain.Backends {
		r.base[b.Name] = newBaseWeight(b)
	}
	return r
}

// newBaseWeight returns the weight of a backend by its files. A drain can be a weight of nothing, which a drop-in of a
// verdict must not replace.
func newBaseWeight(b farm.Backend) baseWeight {
	switch {
	case b.State == farm.Drain:
		return baseWeight{off: true}
	case b.Percent == 0:
		return baseWeight{100, b.State != farm.Up}
	}
	return baseWeight{b.Percent, b.State != farm.Up}
}

// startsSlowly reports whether the weight of a recovered backend rises slowly.
func startsSlowly(r health.Rules) bool { return r.SlowStart > 0 }

// of returns how much of the weight of a backend counts by other files.
func (r rules) of(backend string) baseWeight {
	if b, known := r.base[backend]; known {
		return b
	}
	return baseWeight{percent: 100}
}

// members returns the backends that have words, or all of a farm with a share for panic.
func (r rules) members(known records) map[string]health.Member {
	out := make(map[string]health.Member, len(known))
	for i := range r.farm.Backends {
		b := &r.farm.Backends[i]
		if _, has := known[b.Name]; !has && r.panic() == 0 {
			continue
		}
		base := r.of(b.Name)
		out[b.Name] = health.Member{Record: known.of(b.Name), Rules: r.judging[i], Off: base.off, Base: base.percent}
	}
	return out
}

func newRulesOf(h farm.Health) health.Rules {
	return health.Rules{Agree: h.Agree, Drain: h.OnFail == farm.Drain, Forget: h.OnSilence == farm.SilenceUp,
		SlowStart: h.SlowStart, Store: h.Start == farm.Down}
}

func (r rules) panic() int {
	if r.farm.Health == nil {
		return 0
	}
	return r.farm.Health.Panic
}

// judge returns the records after a judgement.
func (r rules) judge(known records, now time.Time) records {
	return health.Judge(r.members(known), r.panic(), now)
}

// changesAt reports whether a judgement now has another verdict than the one in force, or drop-ins have to go. If not,
// it sets the time of the next one.
func (f *farmHealth) changesAt(now time.Time) bool {
	for name, r := range f.judge(f.records, now) {
		if !r.SameVerdict(f.records.of(name)) {
			return true
		}
	}
	f.next = health.Next(f.members(f.records), now)
	return len(f.gone) > 0
}

// take takes the words about backends whose drop-ins stay as they are, but for reasons and times. It returns the other
// ones. The farm is judged once for all words. In a dry run nothing is kept.
func (f *farmHealth) take(words []numbered, now time.Time, dryRun bool) (rest []numbered) {
	said, changes := maps.Clone(f.records), map[string]bool{}
	for _, n := range words {
		after, err := n.applyTo(said.of(n.Name))
		said[n.Name], changes[n.Name] = after, changes[n.Name] || err != nil
	}
	judged := f.judge(said, now)
	for name, r := range judged {
		changes[name] = changes[name] || !r.SameEffect(f.records.of(name))
	}
	for _, n := range words {
		if changes[n.Name] {
			rest = append(rest, n)
			delete(said, n.Name)
		}
	}
	if !dryRun {
		f.keepTaken(said, judged, changes, now)
	}
	return rest
}

// keepTaken sets the records of the words that are taken at once. If no drop-in changes, the judgement is in force.
func (f *farmHealth) keepTaken(said, judged records, changes map[string]bool, now time.Time) {
	inForce := true
	for name := range judged {
		inForce = inForce && !changes[name]
	}
	for name, r := range said {
		f.records[name] = r
	}
	if inForce {
		f.keepAll(judged, now)
	}
}

// keepAll sets the records after a judgement that is in force, and the time of the next one: now if drop-ins have to
// go.
func (f *farmHealth) keepAll(judged records, now time.Time) {
	for name, r := range judged {
		if _, known := f.records[name]; known || !r.Verdict.IsNeutral() {
			f.records[name] = r
		}
	}
	f.forgetAddresses() // a file can have changed during the write
	f.next = health.Next(f.members(f.records), now)
	if len(f.gone) > 0 {
		f.next = now
	}
}

// applyTo returns the record with the new word. Words are sorted by checker. If there are as many as there can be, the
// new one takes the place of the oldest one that has lapsed, because the checker of that one is gone.
func (s Saying) applyTo(r health.Record) (health.Record, error) {
	out := slices.DeleteFunc(slices.Clone(r.Words), func(w health.Word) bool {
		return w.By == s.By || s.Withdrawn && s.By == ""
	})
	r.Words = out
	if s.Withdrawn {
		return r, nil
	}
	if len(out) == maxCheckers {
		if out = withoutLapsed(out, s.Said); len(out) == maxCheckers {
			return r, ErrCheckers
		}
	}
	r.Words = append(out, s.Word)
	slices.SortFunc(r.Words, func(a, b health.Word) int { return strings.Compare(a.By, b.By) })
	return r, nil
}

// withoutLapsed returns the words without the oldest one that has lapsed.
func withoutLapsed(words []health.Word, now time.Time) []health.Word {
	oldest := -1
	for i, w := range words {
		if w.Lapsed(now) && (oldest < 0 || w.Said.Before(words[oldest].Said)) {
			oldest = i
		}
	}
	if oldest < 0 {
		return words
	}
	return slices.Delete(slices.Clone(words), oldest, oldest+1)
}

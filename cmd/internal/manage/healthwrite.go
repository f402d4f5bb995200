package manage

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// farmWords are the new words about backends of one farm on their way.
type farmWords struct {
	*memory
	farm     string
	now      time.Time
	patience time.Duration // longest wait for the turn; 0: no bound
	sayings  []Saying      // none: the farm is judged again
	indexes  []int         // of the sayings
	refused  []error       // of each saying, by the last call of changes; nil: the word is taken

	rules
	was           *farm.Farm // whose rules the memory had
	before, after records    // results of changes
	gone          []string
}

// write returns the write of the drop-ins.
func (f *farmWords) write(dryRun bool) live.Write {
	return live.Write{Item: f.farm + ".toml", Changes: f.changes, Check: f.check, Urgent: true, OfKept: true,
		Patience: f.patience, DryRun: dryRun}
}

// changes returns the changes of the drop-ins of all backends.
func (f *farmWords) changes(files live.Files) (changes []source.Change, err error) {
	if err := f.read(files); err != nil {
		return nil, err
	}
	heard, said := maps.Clone(f.before), map[string]bool{}
	f.refused = make([]error, len(f.sayings))
	for i, s := range f.sayings {
		after, err := s.applyTo(heard.of(s.Name))
		if err != nil {
			f.refused[i] = err
			continue
		}
		heard[s.Name], said[s.Name] = after, true
	}
	f.after = f.judge(heard, f.now)
	written := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(f.after)) {
		if !said[name] && f.after[name].SameVerdict(f.before.of(name)) {
			continue
		}
		more, err := f.dropIn(files, name)
		if err != nil {
			return nil, err
		}
		changes = append(changes, more...)
		written[source.HealthDropIn(f.farm, name)] = true
	}
	return f.removeGone(files, changes, written)
}

// removeGone adds the removals of drop-ins about addresses that left, apart from the ones that are written.
func (f *farmWords) removeGone(files live.Files, changes []source.Change, written map[string]bool,
) ([]source.Change, error) {
	for _, name := range f.gone {
		if written[name] {
			continue
		}
		more, err := files.Remove(name)
		if err != nil {
			return nil, err
		}
		changes = append(changes, more...)
	}
	return changes, nil
}

// read reads the rules of the farm, and the words in memory.
func (f *farmWords) read(files live.Files) error {
	f.mu.Lock()
	of := f.farms[f.farm]
	if of == nil || of.farm == nil {
		f.mu.Unlock()
		return live.ErrNoFarm
	}
	f.was, f.before, f.gone = of.farm, maps.Clone(of.records), slices.Sorted(maps.Keys(of.gone))
	backend := anyBackend(of.farm)
	f.mu.Unlock()
	known, err := files.Farm(f.farm, backend)
	if err == nil {
		f.rules = newRules(known, files.Reading(f.farm))
	}
	return err
}

// anyBackend returns the name of a backend that the files of a farm have.
func anyBackend(f *farm.Farm) string {
	if len(f.Hosts) > 0 {
		return f.Hosts[0].Backend
	}
	return f.Backends[0].Name
}

// dropIn returns the changes for the drop-in of a backend's record.
func (f *farmWords) dropIn(files live.Files, backend string) ([]source.Change, error) {
	name, record := source.HealthDropIn(f.farm, backend), f.after[backend]
	if !record.HasDropIn() {
		return files.Remove(name)
	}
	dir, err := files.DropInDir(false)
	if err != nil {
		return nil, err
	}
	return files.Replace(dir+"/"+name, record.Text(backend))
}

// outcome returns the outcome of a word: that of the write, unless the word was refused.
func (f *farmWords) outcome(saying int, r live.WriteResult) Outcome {
	out := Outcome{r.ChangesOf(f.farm), r.Warnings, r.Err}
	if r.Err == nil && f.refused != nil {
		out.Err = f.refused[saying]
	}
	return out
}

// check returns why a backend takes clients in spite of the words, or nil.
func (f *farmWords) check(farms []*farm.Farm) error {
	i := slices.IndexFunc(farms, func(of *farm.Farm) bool { return of.Name == f.farm })
	if i < 0 {
		return live.NotLoaded(f.farm)
	}
	for _, b := range farms[i].Backends {
		record, judged := f.after[b.Name]
		if judged && !obeys(b, record.Verdict, f.of(b.Name).off) {
			return fmt.Errorf("backend %s: %w", b.Name, live.ErrOtherState)
		}
	}
	return nil
}

// obeys reports whether a backend serves no more than the verdict says.
func obeys(b farm.Backend, v health.Verdict, off bool) bool {
	switch {
	case v.Down:
		return b.State == farm.Down
	case v.Percent == 0:
		return b.State != farm.Up
	case v.IsNeutral(), off:
		return true
	}
	return b.Percent == v.Weight()%100
}

// retryPause is the time to the next judgement of a farm after a load of its verdicts failed.
const retryPause = 5 * time.Second

// end keeps the words, if they are in force, and returns the new verdicts.
func (f *farmWords) end(inForce bool) (out Judgements) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.farms[f.farm]
	if of == nil {
		return out
	}
	of.writing = max(of.writing-max(len(f.sayings), 1), 0)
	if !inForce && len(f.sayings) == 0 {
		of.next = f.now.Add(retryPause)
	}
	if !inForce {
		return out
	}
	for _, s := range f.sayings {
		if r, judged := f.after[s.Name]; judged {
			of.records[s.Name] = r
		}
	}
	for _, name := range f.gone {
		delete(of.gone, name)
	}
	if of.farm == f.was { // else the memory has newer ones
		of.rules = f.rules
	}
	of.keepAll(f.after, f.now)
	return f.judgements()
}

// judgements compares the verdicts before and after.
func (f *farmWords) judgements() Judgements {
	out := Judgements{Farm: f.farm}
	for _, name := range slices.Sorted(maps.Keys(f.after)) {
		r, was := f.after[name], f.before.of(name).Verdict
		out.Panic, out.WasPanic = out.Panic || r.Verdict.Panic, out.WasPanic || was.Panic
		out.Unhealthy += map[bool]int{false: 1}[r.Verdict.Healthy]
		if r.Verdict != was {
			out.Backends = append(out.Backends, Judged{name, r, was})
		}
	}
	return out
}

package live

import (
	"errors"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"farmc/cmd/internal/source"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// A Snapshot is the state of the farms after a look of watch: the files, the farms that were loaded last, and the
// diagnostics. It does not change, so any number of goroutines can read it without a lock.
type Snapshot struct {
	Time        time.Time
	Readings    []*farm.Reading  // the farms in the files, by name
	Diagnostics diag.Diagnostics // of the last apply

	files  *compilation // of the files
	loaded *compilation // of the farms that were loaded last; nil: none, or unknown
	last   statedir.LastLoad

	loadedFarms func() map[string]bool             // of Loaded
	farmFaults  func() map[string]diag.Diagnostics // of Faults
}

// Publish gives a reader the outcome of an apply: the plan, the diagnostics and the error that Apply returned. The
// snapshot is nil if the apply ended before it read the files. No other operation of the engine comes between: its
// snapshot would be replaced by an older one, or its load be compiled again.
func (e *Engine) Publish(r *Reader, p Plan, diagnostics diag.Diagnostics, applied error) *Snapshot {
	defer e.exclusive()()
	return e.publish(r, p, diagnostics, applied)
}

// PublishNow gives a reader the farms after an operation of another user of the engine, once files were read.
func (e *Engine) PublishNow(r *Reader) {
	defer e.exclusive()()
	if files := e.memory().compiled; files != nil {
		e.publish(r, Plan{compilation: files}, files.diagnostics, nil)
	}
}

// publish is Publish within an operation.
func (e *Engine) publish(r *Reader, p Plan, diagnostics diag.Diagnostics, applied error) *Snapshot {
	s := e.snapshot(p, diagnostics, applied, r.Current())
	r.Publish(s)
	return s
}

// snapshot describes the outcome of an apply. The snapshot before is nil at the first apply.
func (e *Engine) snapshot(p Plan, diagnostics diag.Diagnostics, applied error, before *Snapshot) *Snapshot {
	files := e.memory().compiled
	if files == nil {
		return nil
	}
	s := &Snapshot{Time: time.Now(), Readings: files.readings, Diagnostics: diagnostics, files: files}
	s.last, s.loaded = e.loadedNow(p, applied, before, files)
	for _, c := range []*compilation{s.files, s.loaded} {
		if c != nil {
			c.sources.Paths() // are sorted at the first call, and only read later
		}
	}
	s.loadedFarms = sync.OnceValue(s.findLoaded)
	s.farmFaults = sync.OnceValue(s.groupFaults)
	return s
}

// loadedNow returns the record and the compilation of the last load after an apply. Between the apply and this look
// another user of the engine may have loaded the files as they are now.
func (e *Engine) loadedNow(
	p Plan, applied error, before *Snapshot, files *compilation,
) (statedir.LastLoad, *compilation) {
	last, err := e.Store.Loaded()
	switch {
	case errors.Is(applied, ErrUnkept) && p.compilation != nil && p.script != nil && !p.scriptOnly:
		return p.lastLoad(), p.compilation
	case err != nil || last.Script == nil:
		return statedir.LastLoad{}, nil
	case p.compilation != nil && p.script != nil && p.script.Digest == last.Digest && !p.scriptOnly:
		return last, p.compilation
	case before != nil && before.loaded != nil && before.last.Digest == last.Digest:
		return last, before.loaded
	case files.script != nil && files.script.Digest == last.Digest && !files.scriptOnly:
		return last, files
	}
	return last, e.compileKept(last.Digest)
}

// Reading returns the farm of a name in the files.
func (s *Snapshot) Reading(name string) (*farm.Reading, bool) { return Readings(s.Readings).Find(name) }

// Readings are sorted by the names of the farms.
type Readings []*farm.Reading

// Find returns the reading of a farm.
func (rs Readings) Find(name string) (*farm.Reading, bool) {
	i, ok := slices.BinarySearchFunc(rs, name, func(r *farm.Reading, name string) int {
		return strings.Compare(r.Name(), name)
	})
	if !ok {
		return nil, false
	}
	return rs[i], true
}

// Loaded reports whether a farm was loaded as its files describe it.
func (s *Snapshot) Loaded(name string) bool { return s.loadedFarms()[name] }

func (s *Snapshot) findLoaded() map[string]bool {
	out := map[string]bool{}
	known := map[*farm.Farm]bool{}
	if s.loaded != nil && s.loaded.script != nil {
		for _, f := range s.loaded.script.Farms {
			known[f] = true
		}
	}
	for _, r := range s.Readings {
		f := r.Farm()
		switch {
		case f == nil || r.Faults().Faulty():
		case known[f]:
			out[r.Name()] = true
		default:
			is, was := farm.Describe([]*farm.Farm{f})[f.Name], s.last.Farms[f.Name]
			out[r.Name()] = len(was) > 0 && string(is) == string(was)
		}
	}
	return out
}

// Faults returns the faults of a farm, conflicts with other farms and complaints of nft included.
func (s *Snapshot) Faults(name string) []FarmFault { return s.describe(s.farmFaults()[name]) }

func (s *Snapshot) groupFaults() map[string]diag.Diagnostics {
	out := map[string]diag.Diagnostics{}
	for _, d := range s.Diagnostics {
		if d.Severity != diag.Fault {
			continue
		}
		for _, item := range farmsAndLists(d) {
			if name, isFarm := strings.CutSuffix(item, ".toml"); isFarm {
				out[name] = append(out[name], d)
			}
		}
	}
	return out
}

// AllFaults returns the faults of all farms and lists.
func (s *Snapshot) AllFaults() []FarmFault { return s.describe(s.Diagnostics) }

func (s *Snapshot) describe(diagnostics diag.Diagnostics) []FarmFault {
	return describeFaults(diagnostics, diag.Fault, s.Reading)
}

// Script is the script of the files for this machine; nil if they have faults.
func (s *Snapshot) Script() *ruleset.Script {
	if s.files.diagnostics.Faulty() {
		return nil
	}
	return s.files.script
}

// Lists returns the names of the lists.
func (s *Snapshot) Lists() []string {
	names := []string{}
	for _, file := range s.files.sources.Paths() {
		if name, isList := strings.CutSuffix(path.Base(file), ".list"); isList {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// List returns the text of a list and the path of its file.
func (s *Snapshot) List(name string) (text []byte, file string, ok bool) {
	for file, f := range s.files.sources.ByPath {
		if path.Base(file) == name+".list" && f.Err == nil {
			return f.Text, file, true
		}
	}
	return nil, "", false
}

// Farm returns a farm of the files, or if its files have faults, of the last load; nil if there is none.
func (s *Snapshot) Farm(name string) *farm.Farm {
	if reading, exists := s.Reading(name); exists && reading.Farm() != nil && !reading.Faults().Faulty() {
		return reading.Farm()
	}
	f, err := s.loadedFarm(name)
	if err != nil {
		return nil
	}
	return f
}

// HealthFarms returns the farms with drop-ins for health words, sorted.
func (s *Snapshot) HealthFarms() []string { return s.files.sources.HealthFarms() }

// HealthDropInsOfAddresses returns the names of the drop-ins for health words about addresses of a farm's hostnames.
func (s *Snapshot) HealthDropInsOfAddresses(farm string) []string {
	return s.files.sources.HealthDropInsOfAddresses(farm)
}

// HealthDropIn returns the text of the drop-in for the health words about a backend; nil if there is none.
func (s *Snapshot) HealthDropIn(farm, backend string) []byte {
	name := source.HealthDropIn(farm, backend)
	for _, d := range s.files.sources.Roots {
		if f, exists := s.files.sources.ByPath[path.Join(d.Path, name)]; exists {
			return f.Text
		}
	}
	return nil
}

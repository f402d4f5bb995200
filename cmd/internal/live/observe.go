package live

import (
	"cmp"
	"errors"
	"iter"
	"time"

	"farmc/compiler/farm"
)

// An Observer is told of the work of an engine and its copies, in the order of the work. Its methods must return at
// once, because the engine holds the lock of the state directory.
type Observer interface {
	Loaded(LoadReport)
	Looked(Look)
	Banned(BanReport)
	Unbanned(BanReport)
}

// A BanReport is a ban that began, or the client of one that ended.
type BanReport struct {
	BanResult
	Cause string // command that bans; "": unknown
	Farm  string
}

// unobserved is the observer of an engine that has none.
type unobserved struct{}

func (unobserved) Loaded(LoadReport)  {}
func (unobserved) Looked(Look)        {}
func (unobserved) Banned(BanReport)   {}
func (unobserved) Unbanned(BanReport) {}

// observer returns the observer of the engine.
func (e *Engine) observer() Observer {
	if e.Observer == nil {
		return unobserved{}
	}
	return e.Observer
}

// A LoadReport describes an attempt to load a plan. Of the plan it has what is known before the attempt, the strategy,
// the stages and the number of deleted connections.
type LoadReport struct {
	Plan
	Cause string // command that loads; "": unknown
	Err   error
	Began time.Time // of the compilation
}

// Failed reports whether the kernel does not have the rules.
func (r LoadReport) Failed() bool { return r.Err != nil && !errors.Is(r.Err, ErrUnkept) }

// Stages are the durations of the parts of a load; 0: the load has no such part.
type Stages struct {
	Compile     time.Duration // reading and compiling the files
	Kernel      time.Duration // the transaction of nft
	Connections time.Duration // deleting conntrack entries
	Save        time.Duration // writing the state directory
}

// All returns the stages with their names.
func (s Stages) All() iter.Seq2[string, time.Duration] {
	return func(yield func(string, time.Duration) bool) {
		_ = yield("compile", s.Compile) && yield("kernel", s.Kernel) && yield("connections", s.Connections) &&
			yield("save", s.Save)
	}
}

// Total is the duration of the load.
func (s Stages) Total() time.Duration { return s.Compile + s.Kernel + s.Connections + s.Save }

// measure adds the time from the call until the call of the result to a stage.
func measure(stage *time.Duration) (end func()) {
	began := time.Now()
	return func() { *stage += time.Since(began) }
}

// String is the name of a strategy for programs.
func (s Strategy) String() string {
	switch s {
	case Incremental:
		return "incremental"
	case KeepSets:
		return "keep-sets"
	}
	return "complete"
}

// Way is the strategy of the load, or "none" if the kernel had the rules already.
func (p Plan) Way() string {
	if p.UpToDate {
		return "none"
	}
	return p.Strategy.String()
}

// A Turn is a change of the state or the weight of a backend by a load.
type Turn struct {
	Farm    string `json:"farm"`
	Backend string `json:"backend"`
	State   string `json:"state"`
	Was     string `json:"stateBefore"`
	Weight  int    `json:"weight"` // percent of the backend's weight
	Had     int    `json:"weightBefore"`
}

// maxTurnChanges is the number of changes above which a load is no matter of single backends. To read the old states of
// 10,000 farms takes 0.1 s.
const maxTurnChanges = 1000

// Turns returns the changes of backends that were in their farm before the load; none if the load changed very much.
func (p Plan) Turns() (out []Turn) {
	if p.compilation == nil || p.scriptOnly || p.Before.Farms == nil || p.Script == nil ||
		len(p.Changes) > maxTurnChanges {
		return nil
	}
	for _, f := range p.Script.Farms {
		description, had := p.Before.Farms[f.Name]
		if !had || description == f.Description() {
			continue
		}
		before := description.Recall(f.Name)
		if before == nil {
			continue
		}
		out = append(out, turnsOf(before, f)...)
	}
	return out
}

func turnsOf(before, f *farm.Farm) (out []Turn) {
	for _, b := range f.Backends {
		was := backendOf(before, b.Name)
		if was == nil {
			continue
		}
		t := Turn{f.Name, b.Name, string(b.State), string(cmp.Or(was.State, farm.Up)), percent(b), percent(*was)}
		if t.State != t.Was || t.Weight != t.Had {
			out = append(out, t)
		}
	}
	return out
}

// percent is the part of a backend's weight that counts.
func percent(b farm.Backend) int { return cmp.Or(b.Percent, 100) }

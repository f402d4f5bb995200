package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/source"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A Write changes files of one farm or list, and loads the result as one step: after a kill at any moment either the
// kernel and the files have the change or neither has.
type Write struct {
	Item string // file name of the farm or list, such as "web.toml"

	// Also are further farms and lists that the write changes. A fault of one of them fails the write as a whole.
	Also []string

	// Part is the backend whose keys and own drop-ins are all that the write changes, and all that it looks at; "": the
	// whole item. Writes of different parts can come in one load.
	Part string

	// Changes returns the new texts; none means that the files are as they should be. It is called again if another
	// program changes one of the files meanwhile.
	Changes func(Files) ([]source.Change, error)

	// Check returns why the compiled farms are not the ones that the write wants. It is called before and after the
	// load. Nil: no check.
	Check func([]*farm.Farm) error

	// Sets reports whether the write sets the value of a key in a file that it changes: a fault of the value is then
	// one of the write, also if the file had the same before. Nil: it sets all.
	Sets func(key string) bool

	// InForce returns why the files of the farm, merged, do not have the effect that the write wants. The reading is
	// nil if there is no such farm. It is called before the load. Nil: no check.
	InForce func(*farm.Reading) error

	// Fits returns why the farms of the files do not permit the change. It is called before the load, with all farms as
	// they are with the change, faulty ones as well. Nil: no check.
	Fits func(Readings) error

	Alone bool // the write needs a load of its own: it could be the cause of faults of other writes

	By string // cause of the load, for the history; "": that of the engine

	DryRun   bool          // compile only; Plan.Changes says what would change
	Patience time.Duration // longest wait for the turn in a Queue; 0: MaxQueued, and in WriteAll no bound

	OfKept bool // also of a farm with faults in other files: the version of its last load gets the change
	Urgent bool // go on if the state directory is full; a kill may then lose the change of the file
}

// A WriteResult is the outcome of a write. Err is nil only if the kernel and the files have the change, or after a dry
// run without faults.
type WriteResult struct {
	Plan
	Reading     *farm.Reading    // the files of the farm after the write; nil: none
	Diagnostics diag.Diagnostics // of the item
	Faults      []FarmFault      // the faults among them, for programs
	Standing    []FarmFault      // the part of Faults that the files have without the write, with the places there
	Warnings    []FarmFault
	Err         error

	unloaded []string // changes of the item that no rule shows, a sentence each

	load     *applied         // nil: nothing was loaded
	standing diag.Diagnostics // the part of Diagnostics that Standing has
}

// Errors of Write. A write with an error has changed nothing.
var (
	ErrConflict = errors.New("another program keeps changing the same files")
	ErrRefused  = errors.New("nft or the kernel refuses the rules; nothing was loaded")
	ErrNotSaved = errors.New("the files cannot be written; nothing was loaded")
	ErrOwner    = errors.New("farmc cannot keep the owner and the group of a file here; nothing was loaded")
	ErrDangling = errors.New("a link leads to a file that does not exist; nothing was loaded")

	ErrOtherFaults = errors.New("other files have faults; nothing was loaded")

	ErrUntrusted = errors.New("other users can write to the directories of farms; nothing was loaded: run farmc check")
)

// maxWriteAttempts is how often a write starts if another program changes its files.
const maxWriteAttempts = 3

// judge sets the result of a write that cannot be loaded: its farm or list has faults, or fails the check.
func (w *pendingWrite) judge(c *compilation) (failed bool) {
	own := w.own(c.faults)
	switch {
	case c.untrustedDir:
		w.result.Diagnostics, w.result.Err = c.diagnostics, ErrUntrusted
	case own.Faulty() && (!w.OfKept || w.causes(own)):
		w.result.Diagnostics, w.result.Err = own, ErrFaulty
	case c.script != nil && w.Check != nil:
		w.result.Err = w.Check(c.script.Farms)
	}
	if w.result.Err == nil && w.InForce != nil {
		w.result.Err = w.InForce(w.result.Reading)
	}
	if w.result.Err == nil && w.Fits != nil {
		w.result.Err = w.Fits(c.readings)
	}
	return w.result.Err != nil
}

// causes reports whether a fault is in a file that the write changes.
func (w *pendingWrite) causes(faults diag.Diagnostics) bool {
	return slices.ContainsFunc(faults, func(d diag.Diagnostic) bool {
		return d.Severity == diag.Fault && w.writesTo(d.Place.File)
	})
}

// writesTo reports whether the write changes a file.
func (w *pendingWrite) writesTo(file string) bool {
	return slices.ContainsFunc(w.changes, func(c source.Change) bool { return c.Path == file })
}

// describe sets Faults and Warnings. The compilation names the keys.
func (r *WriteResult) describe(c *compilation) {
	caused := slices.DeleteFunc(slices.Clone(r.Diagnostics), r.stood)
	r.Faults = append(describeFaults(caused, diag.Fault, Readings(c.readings).Find), r.Standing...)
	r.Warnings = describeFaults(r.Diagnostics, diag.Warning, Readings(c.readings).Find)
}

// stood reports whether the files have a fault without the write.
func (r *WriteResult) stood(d diag.Diagnostic) bool {
	return slices.ContainsFunc(r.standing, func(s diag.Diagnostic) bool {
		return s.Place == d.Place && s.Message == d.Message
	})
}

// findStanding finds the faults of a write that the files have without it: they are in files that it does not change,
// or about values that it does not set.
func (e *Engine) findStanding(w *pendingWrite) {
	after := w.result.Reading
	before := Files{e, w.before}.judged(strings.TrimSuffix(w.Item, ".toml"))
	if before == nil || after == nil {
		return
	}
	was := append(before.DefaultsFaults(), before.Faults()...)
	for _, d := range w.result.Diagnostics {
		key := after.KeyAt(d.Place)
		if d.Severity != diag.Fault || w.writesTo(d.Place.File) && (w.Sets == nil || w.Sets(key)) {
			continue
		}
		i := slices.IndexFunc(was, func(b diag.Diagnostic) bool {
			return b.Severity == diag.Fault && b.Place.File == d.Place.File && b.Message == d.Message &&
				before.KeyAt(b.Place) == key
		})
		if i >= 0 {
			w.result.standing = append(w.result.standing, d)
			find := func(string) (*farm.Reading, bool) { return before, true }
			w.result.Standing = append(w.result.Standing, describeFaults(was[i:i+1], diag.Fault, find)...)
		}
	}
}

// InConflict reports whether each fault of a farm concerns another farm as well, or stands in the files without the
// write: the farm alone, as the write makes it, has none.
func (r WriteResult) InConflict(farm string) bool {
	for _, d := range r.Diagnostics {
		items := farmsAndLists(d)
		own := len(items) == 1 && items[0] == farm+".toml"
		if d.Severity == diag.Fault && (own || len(items) == 0) && !r.stood(d) {
			return false
		}
	}
	return r.Diagnostics.Faulty()
}

// Concerned returns the farms that a fault concerns: the one that has it, and the others of a conflict.
func (r WriteResult) Concerned(f FarmFault) (farms []string) {
	for _, d := range r.Diagnostics {
		if d.Severity != diag.Fault || d.Message != f.Message || farmOf(d) != f.Farm {
			continue
		}
		for _, item := range farmsAndLists(d) {
			if name := source.FarmOf(item); name != "" && !slices.Contains(farms, name) {
				farms = append(farms, name)
			}
		}
	}
	return farms
}

// ChangesOf returns the changes of one farm, a sentence each.
func (p Plan) ChangesOf(farm string) []string {
	if p.byFarm == nil {
		p.byFarm = changesByFarm(p.Changes)
	}
	return append([]string{}, p.byFarm[farm]...)
}

// ChangesOf returns the changes of one farm, a sentence each, also the ones that no rule shows.
func (r WriteResult) ChangesOf(farm string) []string {
	changes := r.Plan.ChangesOf(farm)
	more := changesByFarm(r.unloaded)[farm]
	return append(changes, slices.DeleteFunc(more, func(words string) bool { return toldByAddress(changes, words) })...)
}

// toldByAddress reports whether changes of a farm tell of an address of the backend with a hostname in a sentence.
func toldByAddress(changes []string, words string) bool {
	rest, ofBackend := strings.CutPrefix(words, "backend ")
	name, _, _ := strings.Cut(rest, " ")
	return ofBackend && slices.ContainsFunc(changes, func(change string) bool {
		return strings.HasPrefix(change, "backend "+name+"@")
	})
}

// findUnloaded sets the changes that no rule shows. It is called before the files change.
func (e *Engine) findUnloaded(w *pendingWrite) {
	name := source.FarmOf(w.Item)
	if name == "" || len(w.changes) == 0 || w.result.Reading == nil {
		return
	}
	before := Files{e, w.before}.Reading(name)
	if before == nil {
		return
	}
	for _, change := range farm.UnloadedChanges(before, w.result.Reading, w.Part) {
		w.result.unloaded = append(w.result.unloaded, name+": "+change)
	}
}

// changesByFarm returns the changes of each farm, a sentence each.
func changesByFarm(changes []string) map[string][]string {
	out := map[string][]string{}
	for _, change := range changes {
		if farm, words, ok := strings.Cut(change, ": "); ok {
			out[farm] = append(out[farm], words)
		}
	}
	return out
}

// Abbreviate joins sentences about changes into a line of the log, with up to five of them.
func Abbreviate(changes []string) string {
	const maxItems = 5
	if more := len(changes) - maxItems; more > 0 {
		return strings.Join(changes[:maxItems], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(changes, "; ")
}

// onlyPart removes the changes of other backends from the result, as these can come from other writes of the same load.
func (w *pendingWrite) onlyPart() {
	if w.Part == "" {
		return
	}
	backends := strings.TrimSuffix(w.Item, ".toml") + ": backend "
	w.result.Changes = slices.DeleteFunc(slices.Clone(w.result.Changes), func(change string) bool {
		rest, ofBackend := strings.CutPrefix(change, backends)
		name, _, _ := strings.Cut(rest, " ")
		name, _, _ = strings.Cut(name, "@") // an address of a hostname
		return ofBackend && name != w.Part
	})
	w.result.byFarm = nil
}

// items are the farms and lists that the write changes.
func (w *pendingWrite) items() []string { return append([]string{w.Item}, w.Also...) }

func (w *pendingWrite) changesItem(item string) bool { return slices.Contains(w.items(), item) }

// is reports whether a sentence about one of the items is among the sentences that a check finds by their beginning.
func (w *pendingWrite) is(among func(beginning string) bool) bool {
	return slices.ContainsFunc(w.items(), func(item string) bool { return among(source.ItemWords(item) + " ") })
}

// own returns the diagnostics that name the farm or list.
func (w *pendingWrite) own(all diag.Diagnostics) diag.Diagnostics {
	return slices.DeleteFunc(slices.Clone(all), func(d diag.Diagnostic) bool {
		return !slices.ContainsFunc(farmsAndLists(d), w.changesItem)
	})
}

// dryRun sets the result of a write that only asks for its changes.
func (e *Engine) dryRun(ctx context.Context, w *pendingWrite) {
	c := w.result.compilation
	if c.script == nil {
		i := e.isolation(c)
		isKept := func(item string) bool { return slices.Contains(i.kept, item) && !w.OfKept }
		if c = i.repair(c.faults); c == nil || slices.ContainsFunc(w.items(), isKept) {
			w.result.Diagnostics, w.result.Err = w.result.compilation.faults, ErrOtherFaults
			return
		}
	}
	w.result.Plan, w.result.Err = e.plan(ctx, c, "")
	w.result.Diagnostics = slices.Concat(w.own(c.diagnostics), w.result.Plan.zoneChanges())
}

// loadError returns why the kernel does not have the write after a load, or nil.
func (w *pendingWrite) loadError(p Plan, diagnostics diag.Diagnostics, err error) error {
	loaded := err == nil || errors.Is(err, ErrUnkept) || p.Isolated != nil || p.Held != nil
	switch {
	case !loaded && errors.Is(err, ErrFaulty), loaded && w.is(p.isIsolated) && !w.OfKept:
		return w.refusedBy(diagnostics)
	case !loaded:
		return err
	case w.InForce != nil && w.is(p.isHeld): // states of backends change also on hold
		return ErrHeld
	case w.Check != nil:
		return w.Check(p.Script.Farms)
	}
	return nil
}

// refusedBy returns ErrRefused, or ErrOtherFaults if all faults are of other farms or lists: their files have them
// without the write.
func (w *pendingWrite) refusedBy(diagnostics diag.Diagnostics) error {
	others := slices.DeleteFunc(slices.Clone(diagnostics), func(d diag.Diagnostic) bool {
		return d.Severity != diag.Fault || len(farmsAndLists(d)) == 0
	})
	if len(others) == 0 || w.own(others).Faulty() {
		return ErrRefused
	}
	w.result.Diagnostics = others
	return ErrOtherFaults
}

// undoWrites removes the new files, and loads the rules of the files as they are. It logs the differences from the
// load before the writes: another program has edited the files meanwhile.
func (e *Engine) undoWrites(ctx context.Context, files *fileWrites, before statedir.LastLoad) {
	if err := files.discard(); err != nil {
		e.Log("warning: %v", err)
	}
	if !files.prepared {
		return
	}
	p, _, err := e.For(e.Log, e.Cause, true).applyLocked(context.WithoutCancel(ctx), request{})
	switch {
	case err != nil && !errors.Is(err, ErrFaulty):
		e.Log("cannot load the rules of the files again: %v", err)
	case p.Script != nil && before.Farms != nil:
		e.logChanges(farm.NewDifference(before.Farms, p.Script.Farms).Changes())
	}
}

// NewResult returns the outcome of a load of all farms.
func NewResult(p Plan, diagnostics diag.Diagnostics, err error) WriteResult {
	r := WriteResult{Plan: p, Diagnostics: diagnostics, Err: err}
	if p.compilation == nil {
		r.compilation = &compilation{}
	}
	r.describe(r.compilation)
	return r
}

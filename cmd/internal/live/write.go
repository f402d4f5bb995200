package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"farmc/cmd/internal/journal"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A Write changes files of one farm or list, and loads the result as one step: after a kill at any moment either the
// kernel and the files have the change or neither has.
type Write struct {
	Item string // file name of the farm or list, such as "web.toml"

	// Changes returns the new texts; none means that the files are as they should be. It is called again if another
	// program changes one of the files meanwhile.
	Changes func(Files) ([]FileChange, error)

	// Check returns why the compiled farms are not the ones that the write wants. It is called before and after the
	// load. Nil: no check.
	Check func([]*farm.Farm) error

	DryRun bool // compile only; Plan.Changes says what would change
	Urgent bool // go on if the state directory is full; a kill may then lose the change of the file
}

// A WriteResult is the outcome of a write. Err is nil only if the kernel and the files have the change, or after a dry
// run without faults.
type WriteResult struct {
	Plan
	Diagnostics diag.Diagnostics // of the item
	Faults      []FarmFault      // the faults among them, for programs
	Warnings    []FarmFault
	Err         error
}

// Errors of Write. A write with an error has changed nothing.
var (
	ErrConflict = errors.New("another program keeps changing the same files")
	ErrRefused  = errors.New("nft or the kernel refuses the rules; nothing was loaded")
	ErrNotSaved = errors.New("the files cannot be written; nothing was loaded")
)

// maxWriteAttempts is how often a write starts if another program changes its files.
const maxWriteAttempts = 3

// Write changes files and loads them. Other farms with faults stay as they were loaded last.
func (e *Engine) Write(ctx context.Context, w Write) WriteResult {
	return e.WriteAll(ctx, []Write{w})[0]
}

// WriteAll does several writes, in one load if none of them fails. The items must differ. The results are in the order
// of the writes.
func (e *Engine) WriteAll(ctx context.Context, writes []Write) []WriteResult {
	results := make([]WriteResult, len(writes))
	pending := make([]*pendingWrite, len(writes))
	for i := range writes {
		pending[i] = &pendingWrite{Write: writes[i], result: &results[i]}
	}
	if err := e.writeLocked(ctx, pending); err != nil {
		for i := range results {
			results[i].Err = err
		}
	}
	return results
}

// writeLocked does the writes under the lock of the state directory. An error means that none began.
func (e *Engine) writeLocked(ctx context.Context, writes []*pendingWrite) error {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return err
	}
	defer release()
	e.Store.removePending()
	trial, err := e.revertOverdue(ctx)
	if err != nil {
		return err
	}
	if trial != nil {
		return trial.pending()
	}
	e.writeTogether(ctx, writes)
	return nil
}

// A pendingWrite is a write on its way.
type pendingWrite struct {
	Write
	changes []FileChange
	result  *WriteResult
}

// writeTogether does the writes in one load. If that fails, it does each of them alone.
func (e *Engine) writeTogether(ctx context.Context, writes []*pendingWrite) {
	for attempt := 1; ; attempt++ {
		ready := e.collect(writes)
		failed := e.commitWrites(ctx, ready)
		switch {
		case !failed:
			return
		case len(ready) > 1:
			for _, w := range ready {
				e.writeTogether(ctx, []*pendingWrite{w})
			}
			return
		case !errors.Is(ready[0].result.Err, journal.ErrChanged):
			return
		case attempt == maxWriteAttempts:
			ready[0].result.Err = fmt.Errorf("%w: %w", ErrConflict, ready[0].result.Err)
			return
		}
	}
}

// collect asks the writes for their changes, and returns those without an error.
func (e *Engine) collect(writes []*pendingWrite) (ready []*pendingWrite) {
	for _, w := range writes {
		*w.result = WriteResult{}
		if w.changes, w.result.Err = w.Changes(Files{e}); w.result.Err == nil {
			ready = append(ready, w)
		}
	}
	return ready
}

// commitWrites compiles, loads and saves the changes of all writes, and sets their results. It reports whether one of
// them failed. Then no file has changed, and the kernel has the rules of the files.
func (e *Engine) commitWrites(ctx context.Context, writes []*pendingWrite) (failed bool) {
	if len(writes) == 0 {
		return false
	}
	var changes []FileChange
	for _, w := range writes {
		changes = append(changes, w.changes...)
	}
	c, faulty := e.setAsideUnchanged(e.compileWith(changes), changes)
	e.refuseTakenPorts(ctx, c)
	defer func() {
		for _, w := range writes {
			w.result.describe(c)
		}
	}()
	for _, w := range writes {
		w.result.Plan = Plan{compilation: c}
		failed = w.judge(c) || failed
	}
	if failed {
		return true
	}
	if writes[0].DryRun {
		e.dryRun(ctx, writes[0])
		return writes[0].result.Err != nil
	}
	files := &fileWrites{changes: changes, dir: e.Store.Dir, urgent: writes[0].Urgent && len(writes) == 1}
	p, diagnostics, err := e.For(e.Log, e.Cause, true).applyCompiled(ctx, c, request{files: files})
	p, _, err = faulty.report(p, nil, err)
	if errors.Is(err, ErrUnkept) {
		e.Log("warning: %v", err)
	}
	for _, w := range writes {
		w.result.Plan, w.result.Diagnostics = p, w.own(diagnostics)
		w.result.Err = w.loadError(p, diagnostics, err)
		failed = failed || w.result.Err != nil
	}
	if !failed {
		err = files.commit(p.Script.Digest)
		for _, w := range writes {
			w.result.Err = err
		}
		failed = err != nil
	}
	if failed {
		e.undoWrites(ctx, files)
	}
	return failed
}

// judge sets the result of a write that cannot be loaded: its farm or list has faults, or fails the check.
func (w *pendingWrite) judge(c *compilation) (failed bool) {
	own := w.own(c.faults)
	switch {
	case c.untrustedDir:
		w.result.Diagnostics, w.result.Err = c.diagnostics, ErrFaulty
	case own.Faulty():
		w.result.Diagnostics, w.result.Err = own, ErrFaulty
	case c.script != nil && w.Check != nil:
		w.result.Err = w.Check(c.script.Farms)
	}
	return w.result.Err != nil
}

// describe sets Faults and Warnings. The compilation names the keys.
func (r *WriteResult) describe(c *compilation) {
	r.Faults = describeFaults(r.Diagnostics, diag.Fault, readings(c.readings).find)
	r.Warnings = describeFaults(r.Diagnostics, diag.Warning, readings(c.readings).find)
}

// ChangesOf returns the changes of one farm, a sentence each.
func (p Plan) ChangesOf(farm string) []string {
	out := []string{}
	for _, change := range p.Changes {
		if words, ok := strings.CutPrefix(change, farm+": "); ok {
			out = append(out, words)
		}
	}
	return out
}

// own returns the diagnostics that name the farm or list.
func (w *pendingWrite) own(all diag.Diagnostics) diag.Diagnostics {
	return slices.DeleteFunc(slices.Clone(all), func(d diag.Diagnostic) bool {
		return !slices.Contains(farmsAndLists(d), w.Item)
	})
}

// dryRun sets the result of a write that only asks for its changes.
func (e *Engine) dryRun(ctx context.Context, w *pendingWrite) {
	c := w.result.compilation
	if c.script == nil {
		if c = e.isolation(c).repair(c.faults); c == nil {
			w.result.Diagnostics, w.result.Err = w.result.compilation.diagnostics, ErrFaulty
			return
		}
	}
	w.result.Plan, w.result.Err = e.plan(ctx, c, "")
	w.result.Diagnostics = c.diagnostics
}

// loadError returns why the kernel does not have the write after a load, or nil.
func (w *pendingWrite) loadError(p Plan, diagnostics diag.Diagnostics, err error) error {
	loaded := err == nil || errors.Is(err, ErrUnkept) || p.Isolated != nil || p.Held != nil
	switch {
	case !loaded && errors.Is(err, ErrFaulty):
		return ErrRefused
	case !loaded:
		return err
	case p.isIsolated(w.kindAndName() + " "):
		return ErrRefused
	case w.Check != nil:
		return w.Check(p.Script.Farms)
	}
	return nil
}

// kindAndName returns "farm web" for the item "web.toml".
func (w *pendingWrite) kindAndName() string {
	if name, isList := strings.CutSuffix(w.Item, ".list"); isList {
		return "list " + name
	}
	return "farm " + strings.TrimSuffix(w.Item, ".toml")
}

// undoWrites removes the new files, and loads the rules of the files as they are.
func (e *Engine) undoWrites(ctx context.Context, files *fileWrites) {
	if err := files.discard(); err != nil {
		e.Log("warning: %v", err)
	}
	if !files.prepared {
		return
	}
	_, _, err := e.For(e.Log, e.Cause, true).applyLocked(context.WithoutCancel(ctx), request{})
	if err != nil && !errors.Is(err, ErrFaulty) {
		e.Log("cannot load the rules of the files again: %v", err)
	}
}

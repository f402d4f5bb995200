package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"farmc/cmd/internal/journal"
	"farmc/cmd/internal/source"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// Write changes files and loads them. Other farms with faults stay as they were loaded last.
func (e *Engine) Write(ctx context.Context, w Write) WriteResult {
	return e.WriteAll(ctx, []Write{w})[0]
}

// WriteAll does several writes, in one load if none of them fails. Their items or parts must differ. The results are in
// the order of the writes. A write that changes the same file as an earlier one is made on top of it.
func (e *Engine) WriteAll(ctx context.Context, writes []Write) (results []WriteResult) {
	e.writeNext(ctx, func() []Write { return writes }, func(done []WriteResult) { results = done })
	return results
}

// writeNext does the writes that next returns. Next and done are called under the locks.
func (e *Engine) writeNext(ctx context.Context, next func() []Write, done func([]WriteResult)) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		done(failed(next(), err))
		return
	}
	defer release()
	writes := next()
	if err := e.readyToWrite(ctx); err != nil {
		done(failed(writes, err))
		return
	}
	results := make([]WriteResult, len(writes))
	pending := make([]*pendingWrite, len(writes))
	for i := range writes {
		pending[i] = &pendingWrite{Write: writes[i], result: &results[i]}
	}
	e.writeTogether(ctx, pending)
	done(results)
}

// readyToWrite returns why no write can begin.
func (e *Engine) readyToWrite(ctx context.Context) error {
	e.Store.RemovePending()
	trial, err := e.revertOverdue(ctx)
	if err == nil && trial != nil {
		err = unconfirmed(trial)
	}
	return err
}

// failed returns the results of writes that did not begin.
func failed(writes []Write, err error) []WriteResult {
	results := make([]WriteResult, len(writes))
	for i := range results {
		results[i].Err = err
	}
	return results
}

// An applied is the outcome of a load for all farms.
type applied struct {
	diagnostics diag.Diagnostics
	err         error
}

// A pendingWrite is a write on its way.
type pendingWrite struct {
	Write
	before  []source.Change // of the writes before it in the same load
	changes []source.Change
	result  *WriteResult
}

// writeTogether does the writes in as few loads as possible. A write with a fault does not keep others from theirs.
func (e *Engine) writeTogether(ctx context.Context, writes []*pendingWrite) {
	for len(writes) > 1 {
		batch, later := e.batch(writes)
		if e.commitWrites(ctx, batch) {
			later = e.afterFailure(ctx, batch, later)
		}
		writes = later
	}
	for _, w := range writes {
		e.writeAlone(ctx, w)
	}
}

// afterFailure returns the writes that come after a batch that failed: those of the batch that had no fault, and the
// later ones. A write that failed for its own sake has its result; the others are done alone, in their order.
func (e *Engine) afterFailure(ctx context.Context, batch, later []*pendingWrite) []*pendingWrite {
	var again []*pendingWrite
	for _, w := range batch {
		switch {
		case w.result.Err == nil:
			again = append(again, w)
		case w.result.load != nil || w.concernsOther(batch):
			e.writeAlone(ctx, w)
		}
	}
	return append(again, later...)
}

// concernsOther reports whether a fault of the write names the farm or list of another one, or can be the fault of
// another write of the same item.
func (w *pendingWrite) concernsOther(batch []*pendingWrite) bool {
	if slices.ContainsFunc(batch, func(o *pendingWrite) bool { return o != w && o.Item == w.Item }) {
		return true
	}
	for _, d := range w.result.Diagnostics {
		for _, item := range farmsAndLists(d) {
			if item != w.Item && slices.ContainsFunc(batch, func(o *pendingWrite) bool { return o.Item == item }) {
				return true
			}
		}
	}
	return false
}

// writeAlone does a write in a load of its own. It begins again if another program changes the files meanwhile.
func (e *Engine) writeAlone(ctx context.Context, w *pendingWrite) {
	for attempt := 1; ; attempt++ {
		failed := e.collect(w, nil) && e.commitWrites(ctx, []*pendingWrite{w})
		if !failed || !errors.Is(w.result.Err, journal.ErrChanged) {
			return
		}
		if attempt == maxWriteAttempts {
			w.result.Err = fmt.Errorf("%w: %w", ErrConflict, w.result.Err)
			return
		}
	}
}

// batch asks the writes for their changes, each on top of the ones before it. Writes that fit into one load are first;
// dry runs, writes that need a load of their own, and writes with an error that can come from the ones before them come
// later. Other writes with an error are in neither.
func (e *Engine) batch(writes []*pendingWrite) (batch, later []*pendingWrite) {
	var changes []source.Change
	for _, w := range writes {
		ok := e.collect(w, changes)
		switch {
		case ok && !w.DryRun && !w.Alone:
			batch = append(batch, w)
			changes = changesOf(batch)
		case ok, len(changes) > 0:
			later = append(later, w)
		}
	}
	if len(batch) == 0 && len(later) > 0 {
		return later[:1], later[1:]
	}
	return batch, later
}

// collect asks a write for its changes on top of the ones before it, and reports whether it has any, or needs none.
func (e *Engine) collect(w *pendingWrite, before []source.Change) bool {
	*w.result, w.before = WriteResult{}, before
	w.changes, w.result.Err = w.Changes(Files{e, before})
	if w.result.Err == nil {
		w.result.Err = replaceable(w.changes)
	}
	return w.result.Err == nil
}

// commitWrites compiles, loads and saves the changes of all writes, and sets their results. It reports whether one of
// them failed. Then no file has changed, and the kernel has the rules of the files.
func (e *Engine) commitWrites(ctx context.Context, writes []*pendingWrite) (failed bool) {
	if len(writes) == 0 {
		return false
	}
	changes := changesOf(writes)
	compiled := e.compileWith(changes)
	compiled.sources.BeginDigests() // the record of the load has them
	c, faulty := e.setAsideUnchanged(compiled, changes)
	c.readings = compiled.readings
	e.refuseTakenPorts(ctx, c)
	defer func() {
		for _, w := range writes {
			if errors.Is(w.result.Err, ErrFaulty) {
				e.findStanding(w)
			}
			w.result.describe(c)
		}
		if failed || writes[0].DryRun {
			e.memory().farms = nil // of files that were not written
		}
	}()
	for _, w := range writes {
		w.result.Plan = Plan{compilation: c}
		w.result.Reading, _ = Readings(c.readings).Find(strings.TrimSuffix(w.Item, ".toml"))
		failed = w.judge(c) || failed
	}
	if failed {
		return true
	}
	for _, w := range writes {
		e.findUnloaded(w)
	}
	if writes[0].DryRun {
		e.dryRun(ctx, writes[0])
		return writes[0].result.Err != nil
	}
	if e.loadWrites(ctx, c, faulty, writes) {
		return true
	}
	e.memory().compiled = compiled // the files are so now
	return false
}

// loadWrites loads and saves the changes of compiled writes. It reports whether one of them failed.
func (e *Engine) loadWrites(ctx context.Context, c *compilation, faulty faultyDropIns, writes []*pendingWrite) bool {
	files := &fileWrites{changes: changesOf(writes), dir: e.Store.Dir, urgent: areUrgent(writes)}
	engine := e.For(e.Log, causeOf(writes, e.Cause), true)
	p, diagnostics, err := engine.applyCompiled(ctx, c, request{files: files})
	p, all, err := faulty.report(p, diagnostics, err)
	if errors.Is(err, ErrUnkept) {
		e.Log("warning: %v", err)
	}
	failed := false
	p.byFarm = changesByFarm(p.Changes)
	for _, w := range writes {
		w.result.Plan, w.result.Diagnostics, w.result.load = p, w.own(diagnostics), &applied{all, err}
		if len(writes) > 1 {
			w.onlyPart()
		}
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
		e.undoWrites(ctx, files, p.Before)
	} else {
		e.logOthers(p.Changes, writes)
	}
	return failed
}

// logOthers logs the changes of farms that none of the writes is about, such as edits by hand: the next look at the
// files finds them loaded, and has nothing to log. Changes of a list are changes of farms that name it.
func (e *Engine) logOthers(changes []string, writes []*pendingWrite) {
	about := map[string]bool{}
	for _, w := range writes {
		for _, item := range w.items() {
			name := source.FarmOf(item)
			if name == "" {
				return
			}
			about[name] = true
		}
	}
	others := slices.DeleteFunc(slices.Clone(changes), func(change string) bool {
		name, _, _ := strings.Cut(change, ": ")
		return about[name]
	})
	e.logChanges(others)
}

// logChanges logs sentences about changes of farms.
func (e *Engine) logChanges(changes []string) {
	if len(changes) > 0 {
		e.Log("%s", Abbreviate(farm.Together(changes)))
	}
}

// areUrgent reports whether each of the writes goes on if the state directory is full.
func areUrgent(writes []*pendingWrite) bool {
	return !slices.ContainsFunc(writes, func(w *pendingWrite) bool { return !w.Urgent })
}

// changesOf returns the changes of all writes, one for each file.
func changesOf(writes []*pendingWrite) (changes []source.Change) {
	for _, w := range writes {
		changes = append(changes, w.changes...)
	}
	return source.Joined(changes)
}

// causeOf returns the cause of a load for several programs.
func causeOf(writes []*pendingWrite, otherwise string) string {
	var all []string
	for _, w := range writes {
		if w.By != "" && !slices.Contains(all, w.By) {
			all = append(all, w.By)
		}
	}
	if len(all) == 0 {
		return otherwise
	}
	const most = 5
	if more := len(all) - most; more > 0 {
		all = append(all[:most], fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, ", ")
}

// PublishAfter gives a reader the farms at the end of a round of a queue, if a write has loaded anything.
func (e *Engine) PublishAfter(r *Reader, results []WriteResult) {
	for _, w := range slices.Backward(results) {
		if w.Err == nil && w.load != nil {
			e.publish(r, w.Plan, w.load.diagnostics, w.load.err)
			return
		}
	}
}

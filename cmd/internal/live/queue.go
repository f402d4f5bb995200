package live

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// A Queue takes writes of many programs at once, and does those that wait together. Writes of one farm come one after
// another, in the order in which they were asked for: a round has one of them, and before it those that fail anyway.
// Writes of different backends come in one round.
type Queue struct {
	engine *Engine
	done   func([]WriteResult) // is called at the end of a round, before the programs get their results

	mu      sync.Mutex
	waiting []*queuedWrite
	working bool // a goroutine does the waiting writes
}

// MaxQueued is the longest wait of a write for its turn, unless Write.Patience is another one. A client that waits less
// ends its connection, and so withdraws the write.
const MaxQueued = 10 * time.Second

// maxBatch is the number of writes in a round.
const maxBatch = 100

// A queuedWrite is a write that waits for its turn.
type queuedWrite struct {
	Write
	result chan WriteResult
	group  *group // that it is done with; nil: none
}

// A group is several writes that come in one load, however many they are.
type group struct{ _ byte } // not empty: pointers to it differ

// NewQueue returns an empty queue for writes of the engine. Done is called at the end of each round of writes. The
// engine is occupied meanwhile: only PublishAfter can be used.
func NewQueue(e *Engine, done func([]WriteResult)) *Queue { return &Queue{engine: e, done: done} }

// Write does a write when its turn comes. The error is ErrBusy if that takes too long; then nothing has changed. A
// write that has begun goes on after the end of ctx.
func (q *Queue) Write(ctx context.Context, w Write) WriteResult {
	w.Patience = cmp.Or(w.Patience, MaxQueued)
	own := &queuedWrite{Write: w, result: make(chan WriteResult, 1)}
	q.add(own)
	return q.awaitUntil(ctx, own, time.Now())
}

// WriteAll does several writes in one load when their turn comes, apart from the ones of farms that other programs
// write at the same time. Each write waits for its Patience, or without one until ctx is done. The items must differ.
// The results are in the order of the writes.
func (q *Queue) WriteAll(ctx context.Context, writes []Write) []WriteResult {
	of, own := new(group), make([]*queuedWrite, len(writes))
	for i, w := range writes {
		own[i] = &queuedWrite{Write: w, result: make(chan WriteResult, 1), group: of}
	}
	q.add(own...)
	began, results := time.Now(), make([]WriteResult, len(writes))
	for i := range own {
		results[i] = q.awaitUntil(ctx, own[i], began)
	}
	return results
}

// awaitUntil is await with the patience of a write that was asked for at a time.
func (q *Queue) awaitUntil(ctx context.Context, own *queuedWrite, began time.Time) WriteResult {
	if own.Patience == 0 {
		return q.await(ctx, own)
	}
	patient, end := context.WithDeadlineCause(ctx, began.Add(own.Patience), noTurn(own.Patience))
	defer end()
	return q.await(patient, own)
}

// await returns the result of a write, or the cause of the end of ctx if its turn has not come until then.
func (q *Queue) await(ctx context.Context, own *queuedWrite) WriteResult {
	select {
	case r := <-own.result:
		return r
	case <-ctx.Done():
	}
	if q.withdraw(own) {
		return WriteResult{Err: context.Cause(ctx)}
	}
	return <-own.result
}

// add puts writes at the end of the queue.
func (q *Queue) add(writes ...*queuedWrite) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, writes...)
	if !q.working {
		q.working = true
		go q.work()
	}
}

// withdraw takes a write out of the queue, and reports whether it was still there.
func (q *Queue) withdraw(w *queuedWrite) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, w)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// work does rounds of writes until the queue is empty. Writes that come meanwhile wait for the next round, so a slow
// load makes the next round larger. It does not end with a client.
func (q *Queue) work() {
	for q.more() {
		var round []*queuedWrite
		next := func() (writes []Write) {
			round = q.take()
			for _, w := range round {
				writes = append(writes, w.Write)
			}
			return writes
		}
		var results []WriteResult
		q.engine.writeNext(context.Background(), next, func(r []WriteResult) {
			results = r
			q.done(r)
		})
		for i, w := range round {
			w.result <- results[i]
		}
	}
}

// more reports whether a write waits. Without one, the goroutine ends.
func (q *Queue) more() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.working = len(q.waiting) > 0
	return q.working
}

// take returns the waiting writes that can come in one load: the first one of each farm or list, or the first one of
// each of its parts; and the ones before it that fail because of the files as they are now: of many clients with the
// same ETag, all but one need no load. The engine's locks are held.
func (q *Queue) take() (round []*queuedWrite) {
	q.mu.Lock()
	defer q.mu.Unlock()
	more := waitingParts{}
	for _, w := range q.waiting {
		more.add(w.Write, 1)
	}
	var t taken
	groups := map[*group]bool{}
	q.waiting = slices.DeleteFunc(q.waiting, func(w *queuedWrite) bool {
		more.add(w.Write, -1)
		if len(round) >= maxBatch && !groups[w.group] || !t.admits(w.Write) {
			t.block(w.Write)
			return false
		}
		if more.behind(w.Write) == 0 || !w.fails(q.engine) {
			t.add(w.Write)
		}
		groups[w.group] = w.group != nil
		round = append(round, w)
		return true
	})
	return round
}

// A waitingParts counts the waiting writes by item and part.
type waitingParts map[[2]string]int

// add adds n to the writes of a part, and to those of its item.
func (p waitingParts) add(w Write, n int) {
	p[[2]string{w.Item, w.Part}] += n
	if w.Part != "" {
		p[[2]string{w.Item, "\nall parts"}] += n
	}
}

// behind is the number of waiting writes that cannot come in one load with this one.
func (p waitingParts) behind(w Write) int {
	n := p[[2]string{w.Item, ""}]
	if w.Part == "" {
		return n + p[[2]string{w.Item, "\nall parts"}]
	}
	return n + p[[2]string{w.Item, w.Part}]
}

// A taken has the writes of a round by item and part. The part "" stands for the whole item.
type taken map[string]map[string]bool

// admits reports whether a write can come in the same load as the others: none is of its part, or of the whole item.
func (t taken) admits(w Write) bool {
	parts := t[w.Item]
	return len(parts) == 0 || w.Part != "" && !parts[""] && !parts[w.Part]
}

func (t *taken) add(w Write) { put((*map[string]map[string]bool)(t), w.Item, w.Part, true) }

// block keeps later writes behind one that has to wait.
func (t *taken) block(w Write) { t.add(w) }

// fails reports whether a write has an error before anything is compiled.
func (w *queuedWrite) fails(e *Engine) bool {
	_, err := w.Changes(Files{engine: e})
	return err != nil
}

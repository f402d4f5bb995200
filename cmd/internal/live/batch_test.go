package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farmc/cmd/internal/source"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/farm"
)

// creating returns a write of a new file with a text.
func creating(dir, name, text string) Write {
	return Write{Item: name, Changes: func(files Files) ([]source.Change, error) {
		before, err := files.Read(dir + "/" + name)
		return []source.Change{{Path: dir + "/" + name, Text: []byte(text), Before: before}}, err
	}}
}

// Of two new farms with the same frontend the first one is loaded, and so are the others of the batch.
func TestBatchWithConflict(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"mail.toml": mailFarm})
	third := strings.Replace(webFarm, ".1:80", ".7:80", 1)
	results := e.WriteAll(t.Context(), []Write{
		creating(farms, "a.toml", webFarm), creating(farms, "b.toml", webFarm), creating(farms, "c.toml", third)})
	if results[0].Err != nil || !errors.Is(results[1].Err, ErrFaulty) || results[2].Err != nil {
		t.Errorf("WriteAll gives %v, %v, %v", results[0].Err, results[1].Err, results[2].Err)
	}
	if !results[1].InConflict("b") || results[0].InConflict("a") {
		t.Errorf("the conflict is %v", results[1].Diagnostics)
	}
	agree(t, e)
}

// Writes that change one file come one after another, and none loses the change of another one.
func TestBatchWithSharedFile(t *testing.T) {
	e, farms := engineFor(t, nil)
	record := e.Store.Dir + "/record"
	var writes []Write
	for n := range 5 {
		name := fmt.Sprintf("f%d.toml", n)
		w := creating(farms, name, strings.Replace(webFarm, ".1:80", fmt.Sprintf(".%d:80", n+1), 1))
		change := w.Changes
		w.Changes = func(files Files) ([]source.Change, error) {
			changes, err := change(files)
			before, readErr := files.Read(record)
			text := []byte(string(before) + name + "\n")
			return append(changes, source.Change{Path: record, Text: text, Before: before}), errors.Join(err, readErr)
		}
		writes = append(writes, w)
	}
	for i, r := range e.WriteAll(t.Context(), writes) {
		if r.Err != nil {
			t.Errorf("%d: %v", i, r.Err)
		}
	}
	if text, _ := os.ReadFile(record); strings.Count(string(text), "\n") != 5 {
		t.Errorf("the record is %q", text)
	}
	agree(t, e)
}

// A dry run among other writes changes nothing, and they are loaded.
func TestBatchWithDryRun(t *testing.T) {
	e, farms := engineFor(t, nil)
	dry := creating(farms, "a.toml", webFarm)
	dry.DryRun = true
	other := strings.Replace(webFarm, ".1:80", ".7:80", 1)
	results := e.WriteAll(t.Context(), []Write{creating(farms, "b.toml", other), dry})
	if results[0].Err != nil || results[1].Err != nil || len(results[1].ChangesOf("a")) != 1 {
		t.Errorf("WriteAll gives %v, %v", results[0].Err, results[1].Err)
	}
	if _, err := os.Stat(farms + "/a.toml"); err == nil {
		t.Error("the dry run wrote a file")
	}
	agree(t, e)
}

// The files as they will be are judged before the load.
func TestWriteInForce(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm, "web.toml.d/50.toml": "state = 'down'\n"})
	w := replacing("web.toml", "10.0.0.2", "10.0.0.9")
	w.InForce = func(r *farm.Reading) error {
		if !strings.Contains(string(r.Document()), `"state":"down"`) ||
			!strings.Contains(string(r.Document()), "10.0.0.9") {
			t.Errorf("the document is %s", r.Document())
		}
		return os.ErrExist
	}
	if r := e.Write(t.Context(), w); !errors.Is(r.Err, os.ErrExist) {
		t.Errorf("Write gives %v", r.Err)
	}
	contains(t, farms+"/web.toml", webFarm, true)
}

// Writes that wait are done in one load, and those of one farm in their order.
func TestQueue(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	rounds := 0
	q := NewQueue(e, func(results []WriteResult) {
		if e.SnapshotAfter(results, nil) == nil {
			t.Error("there is no snapshot")
		}
		rounds++
	})
	release := e.exclusive()
	var all sync.WaitGroup
	write := func(w Write) {
		all.Go(func() {
			if r := q.Write(t.Context(), w); r.Err != nil {
				t.Error(r.Err)
			}
		})
		time.Sleep(20 * time.Millisecond) // so that they come in this order
	}
	for n := range 10 {
		text := strings.Replace(webFarm, ".1:80", fmt.Sprintf(".%d:80", n+9), 1)
		write(creating(farms, fmt.Sprintf("f%d.toml", n), text))
	}
	write(replacing("web.toml", "10.0.0.2", "10.0.0.8"))
	write(replacing("web.toml", "10.0.0.8", "10.0.0.9"))
	release()
	all.Wait()
	if rounds != 2 {
		t.Errorf("%d rounds", rounds)
	}
	contains(t, farms+"/web.toml", "10.0.0.9", true)
	agree(t, e)
}

// Of writes of one farm, those that fail anyway take no round of their own.
func TestQueueOfOneFarm(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	rounds, outdated := 0, errors.New("another ETag")
	q := NewQueue(e, func([]WriteResult) { rounds++ })
	// Each write counts on the address as it is at first, so only the first one can succeed.
	update := func(n int) Write {
		return Write{Item: "web.toml", Changes: func(f Files) ([]source.Change, error) {
			path, text, err := f.Find("web.toml")
			if !strings.Contains(string(text), "10.0.0.2") {
				return nil, cmp.Or(err, outdated)
			}
			return f.Replace(path, []byte(strings.Replace(string(text), "10.0.0.2", fmt.Sprint("10.0.0.1", n), 1)))
		}}
	}
	release := e.exclusive()
	var all sync.WaitGroup
	var failed atomic.Int32
	for n := range 9 {
		all.Go(func() {
			if r := q.Write(t.Context(), update(n)); errors.Is(r.Err, outdated) {
				failed.Add(1)
			} else if r.Err != nil {
				t.Error(r.Err)
			}
		})
		time.Sleep(10 * time.Millisecond) // so that they come in this order
	}
	release()
	all.Wait()
	if rounds != 2 || failed.Load() != 8 {
		t.Errorf("%d rounds, %d writes fail", rounds, failed.Load())
	}
	contains(t, farms+"/web.toml", "10.0.0.10", true)
	agree(t, e)
}

// A write that gets no turn, or whose client goes, changes nothing.
func TestQueueWithoutTurn(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	q := NewQueue(e, func([]WriteResult) {})
	release := e.exclusive()
	gone, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r := q.Write(gone, replacing("web.toml", "10.0.0.2", "10.0.0.7")); !errors.Is(r.Err, context.DeadlineExceeded) {
		t.Errorf("Write gives %v", r.Err)
	}
	began := time.Now()
	impatientWrite := replacing("web.toml", "10.0.0.2", "10.0.0.8")
	impatientWrite.Patience = 300 * time.Millisecond
	r := q.Write(t.Context(), impatientWrite)
	if took := time.Since(began); !errors.Is(r.Err, ErrBusy) || took < impatientWrite.Patience || took >= MaxQueued {
		t.Errorf("Write gives %v after %v", r.Err, took)
	}
	impatient := e.For(t.Logf, "test", true)
	impatient.Patience = 50 * time.Millisecond
	if _, _, err := impatient.Apply(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("Apply gives %v", err)
	}
	release()
	unlock, err := (statedir.Store{Dir: e.Store.Dir}).Lock(t.Context(), func() {}) // as another process does
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := impatient.Apply(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("Apply gives %v", err)
	}
	unlock()
	if r := q.Write(t.Context(), replacing("web.toml", "10.0.0.2", "10.0.0.9")); r.Err != nil {
		t.Error(r.Err)
	}
	contains(t, farms+"/web.toml", "10.0.0.9", true)
	agree(t, e)
}

// Writes that come together are one load, however many they are.
func TestQueueOfManyTogether(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	rounds := 0
	q := NewQueue(e, func([]WriteResult) { rounds++ })
	var writes []Write
	for n := range maxBatch + 50 {
		text := strings.Replace(webFarm, ".1:80", fmt.Sprintf(".9:%d", n+100), 1)
		writes = append(writes, creating(farms, fmt.Sprintf("f%d.toml", n), text))
	}
	for i, r := range q.WriteAll(t.Context(), writes) {
		if r.Err != nil || r.Reading.Name() != fmt.Sprintf("f%d", i) {
			t.Errorf("write %d: %v", i, r.Err)
		}
	}
	if rounds != 1 {
		t.Errorf("%d rounds", rounds)
	}
	agree(t, e)
}

package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
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

// Writes that change one file come in one load, and none loses the change of another one.
func TestBatchWithSharedFile(t *testing.T) {
	e, farms := engineFor(t, nil)
	loads := loadsOf(e)
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
	if loads() != 1 {
		t.Errorf("%d loads", loads())
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
		r := NewReader(e)
		if e.PublishAfter(r, results); r.Current() == nil {
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

// States and weights of different backends of a farm come in one load, in the order of the writes around them, and
// each result has its own changes.
func TestQueueOfBackends(t *testing.T) {
	text := webFarm
	for n := range 20 {
		text += fmt.Sprintf("[backends.n%d]\naddress = \"10.0.2.%d\"\n", n, n+1)
	}
	e, farms := engineFor(t, map[string]string{"web.toml": text})
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	rounds := 0
	q := NewQueue(e, func([]WriteResult) { rounds++ })
	release := e.exclusive()
	var all sync.WaitGroup
	write := func(w Write, want ...string) {
		all.Go(func() {
			r := q.Write(t.Context(), w)
			if r.Err != nil || want != nil && !slices.Equal(r.ChangesOf("web"), want) {
				t.Errorf("%v, changes %v, want %v", r.Err, r.Changes, want)
			}
		})
		time.Sleep(5 * time.Millisecond) // so that they come in this order
	}
	backend := func(n int) string { return fmt.Sprint("n", n) }
	for n := range 10 {
		write(StateChange{Farm: "web", Backend: backend(n), State: farm.Drain}.Write(),
			"backend "+backend(n)+" state up → drain")
		write(WeightChange{Farm: "web", Backend: backend(n + 10), Weight: 5}.Write(),
			"backend "+backend(n+10)+" weight 1 → 5")
	}
	write(replacing("web.toml", "10.0.2.1", "10.0.3.1"))
	write(StateChange{Farm: "web", Backend: "n1", State: farm.Up}.Write(), "backend n1 state drain → up")
	release()
	all.Wait()
	if rounds != 3 {
		t.Errorf("%d rounds", rounds)
	}
	contains(t, farms+"/web.toml", "10.0.3.1", true)
	agree(t, e)
}

// If one of the writes of a farm fails, the others succeed, also if its fault is one of the farm as a whole.
func TestQueueOfBackendsWithAFailure(t *testing.T) {
	e, farms := engineFor(t, map[string]string{
		"web.toml":            "scheduler = 'maglev'\ntable-size = 251\n" + webFarm + "b3.address = '10.0.0.4'\n",
		"web.toml.d/zzz.toml": "backends.b1.weight = 9\n"})
	results := e.WriteAll(t.Context(), []Write{
		WeightChange{Farm: "web", Backend: "b2", Weight: 1000}.Write(), // too much for the table
		StateChange{Farm: "web", Backend: "b1", State: farm.Drain}.Write(),
		WeightChange{Farm: "web", Backend: "b7", Weight: 5}.Write()})
	if !errors.Is(results[0].Err, ErrFaulty) || results[1].Err != nil || results[2].Err == nil {
		t.Errorf("%v, %v, %v", results[0].Err, results[1].Err, results[2].Err)
	}
	results = e.WriteAll(t.Context(), []Write{WeightChange{Farm: "web", Backend: "b1", Weight: 5}.Write(),
		WeightChange{Farm: "web", Backend: "b2", Weight: 2}.Write()})
	if !errors.Is(results[0].Err, ErrOtherState) || results[1].Err != nil {
		t.Errorf("%v, %v", results[0].Err, results[1].Err)
	}
	contains(t, farms+"/web.toml.d/zz-farmc.weight-b2.toml", "weight = 2", true)
	agree(t, e)
}

// Of writes of one farm, the ones that fail anyway take no round of their own.
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

// A write is asked for its changes before its turn only if another one has to wait for it.
func TestQueueAsksOnce(t *testing.T) {
	e, _ := engineFor(t, map[string]string{"web.toml": webFarm})
	asked := map[string]int{}
	write := func(item, part string) Write {
		return Write{Item: item, Part: part, Changes: func(Files) ([]source.Change, error) {
			asked[item+part]++
			return nil, nil
		}}
	}
	q := NewQueue(e, func([]WriteResult) {})
	q.WriteAll(t.Context(), []Write{write("web.toml", "b1"), write("web.toml", "b2"), write("mail.toml", "")})
	if asked["web.tomlb1"] != 1 || asked["web.tomlb2"] != 1 || asked["mail.toml"] != 1 {
		t.Errorf("asked %v", asked)
	}
	clear(asked)
	q.WriteAll(t.Context(), []Write{write("web.toml", "b1"), write("web.toml", "b1"), write("web.toml", "")})
	if asked["web.tomlb1"] != 4 || asked["web.toml"] != 1 {
		t.Errorf("asked %v", asked)
	}
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
	if r := q.WriteAll(t.Context(), []Write{impatientWrite}); !errors.Is(r[0].Err, ErrBusy) {
		t.Errorf("WriteAll gives %v", r[0].Err)
	}
	client := netip.MustParsePrefix("198.51.100.7/32")
	request := BanRequest{Farm: "web", Client: client, Patience: 50 * time.Millisecond}
	if _, err := e.Ban(t.Context(), request); !errors.Is(err, ErrBusy) {
		t.Errorf("Ban gives %v", err)
	}
	if _, err := e.Unban(t.Context(), request); !errors.Is(err, ErrBusy) {
		t.Errorf("Unban gives %v", err)
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

// loadsOf returns a function that counts the loads of an engine from now on.
func loadsOf(e *Engine) func() int {
	before, _ := e.Store.History() // there is none before the first load
	return func() int {
		now, _ := e.Store.History()
		return len(now) - len(before)
	}
}

// A change of a backend with a hostname is told by its addresses, or without one by itself; a part has its own alone.
func TestChangesOfHostnames(t *testing.T) {
	r := &WriteResult{Plan: Plan{Changes: []string{"web: backend far@10.0.0.1 weight 1 → 2", "web: backend b1 gone",
		"web: backend far2@10.0.0.2 weight 1 → 2"}},
		unloaded: []string{"web: backend far weight unset → 2", "web: backend off weight unset → 2"}}
	(&pendingWrite{Write: Write{Item: "web.toml", Part: "far"}, result: r}).onlyPart()
	want := []string{"backend far@10.0.0.1 weight 1 → 2", "backend off weight unset → 2"}
	if got := r.ChangesOf("web"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

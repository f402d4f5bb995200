package nftlb

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"farmc/cmd/internal/edit"
)

// manyFiles are files of farms with two backends each.
func manyFiles(t *testing.T, n int) Files {
	t.Helper()
	in := Files{Farms: map[string]edit.Document{}}
	for i := range n {
		a := (&State{}).Do(posted(fmt.Sprintf(`{"farms": [{"name": "f%d", "virtual-addr": "10.%d.%d.1",
			"virtual-ports": "80", "backends": [{"name": "b1", "ip-addr": "10.200.0.1", "state": "up"},
			{"name": "b2", "ip-addr": "10.200.0.2", "state": "up"}]}]}`, i, i/256, i%256)))
		if !a.OK() {
			t.Fatal(a.Text)
		}
		f := a.State.Farms[0]
		f.order = i + 1
		in.Farms[f.Name] = a.State.Saved(f, MarksAsked)
	}
	return in
}

func posted(body string) Request {
	return Request{Verb: "POST", Path: []string{"farms"}, Body: []byte(body)}
}

// TestManyFarms: a small request costs a small part of the 3 seconds after which clients give up.
func TestManyFarms(t *testing.T) {
	cost := costOfRequest(t, 4000)
	if t.Log(cost); cost > 300*time.Millisecond {
		t.Errorf("a request costs %v with 4000 farms", cost)
	}
}

// costOfRequest gives the shortest time of some requests: each restores the objects, changes a backend, finds the
// change, and lists the farm.
func costOfRequest(t *testing.T, farms int) time.Duration {
	t.Helper()
	in, shortest := manyFiles(t, farms), time.Hour
	var c Cache
	c.State(in)
	for i := range 5 {
		began := processorTime(t)
		s := c.State(in)
		a := s.Do(posted(fmt.Sprintf(`{"farms": [{"name": "f7", "backends": [{"name": "b1", "weight": "%d"}]}]}`, i+2)))
		changes := s.Changes(a.State, MarksAsked)
		a.State.Listing("farms", "f7")
		shortest = min(shortest, processorTime(t)-began)
		if !a.OK() || len(changes.Farms) != 1 || changes.Farms[0].Name != "f7" {
			t.Fatalf("%s: %v", a.Text, changes)
		}
	}
	return shortest
}

// TestManyNewFarms: a body with many farms costs no square of their number.
func TestManyNewFarms(t *testing.T) {
	var body strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&body, `%c{"name": "f%d", "virtual-addr": "10.0.%d.%d", "virtual-ports": "80",
			"backends": [{"name": "b", "ip-addr": "10.200.0.1"}]}`, "[,"[min(i, 1)], i, i/256, i%256)
	}
	began := processorTime(t)
	a := (&State{}).Do(posted(`{"farms": ` + body.String() + `]}`))
	cost := processorTime(t) - began
	if t.Log(cost); !a.OK() || len(a.State.Farms) != 4000 || cost > time.Second {
		t.Errorf("%d new farms cost %v: %s", len(a.State.Farms), cost, a.Text)
	}
}

// TestMarksAreUnique: listings give each backend a mark of its own, also beyond the numbers that a request can set.
func TestMarksAreUnique(t *testing.T) {
	s := manyFiles(t, 2100).State()
	seen := map[uint64]bool{0: true}
	for _, f := range s.Farms {
		for _, b := range f.Backends {
			delete(b.Values, "mark")
		}
	}
	s.number()
	for _, f := range s.Farms {
		for _, b := range f.Backends {
			if mark := b.Values.mark(); seen[mark] {
				t.Fatalf("mark %#x twice, or zero", mark)
			}
			seen[b.Values.mark()] = true
		}
	}
}

// processorTime is the time that the processor has spent on this goroutine, which stays on its thread. Other programs
// and the collection of garbage do not count.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	var use syscall.Rusage
	const thread = 1 // RUSAGE_THREAD
	if err := syscall.Getrusage(thread, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// deep returns a state that shares no object with another one.
func deep(s *State) *State {
	out := s.Clone()
	for i := range out.Farms {
		out.Farms[i] = out.Farms[i].clone()
	}
	for i := range out.Policies {
		out.Policies[i] = out.Policies[i].clone()
	}
	for i := range out.Addresses {
		out.Addresses[i] = out.Addresses[i].clone()
	}
	return out
}

// checkSharing holds the changes between two states against those between states without objects in common, and the
// earlier state against its copy from before the request.
func checkSharing(t *testing.T, copied, before, after *State, step string) {
	t.Helper()
	got, want := before.Changes(after, MarksAsked), deep(before).Changes(deep(after), MarksAsked)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: changes are\n%v\nwant\n%v", step, got, want)
	}
	for i, f := range before.Farms {
		if !reflect.DeepEqual(f, copied.Farms[i]) {
			t.Errorf("%s: the farm %s of the state before has changed", step, f.Name)
		}
	}
	if !reflect.DeepEqual(before.Addresses, copied.Addresses) || !reflect.DeepEqual(before.Policies, copied.Policies) {
		t.Errorf("%s: the state before has changed", step)
	}
}

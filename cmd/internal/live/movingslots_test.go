package live

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/testmachine"
)

const leastConnections = "scheduler = 'least-connections'\nlisten = '192.0.2.1:80'\n" +
	"backends.b1.address = '10.0.0.1'\nbackends.b2.address = '10.0.0.2'\n"

const otherFarm = "listen = '192.0.2.2:80'\nbackends.b1.address = '10.0.0.1'\n"

// moverFor returns an engine that has loaded a farm with slots that move, the path of the farms, and a mover after a
// step.
func moverFor(t *testing.T) (*Engine, string, *SlotMover) {
	t.Helper()
	e, farms := engineFor(t, map[string]string{"web.toml": leastConnections})
	return e, farms, step(t, e)
}

// step loads the farms, and makes the first step of a mover.
func step(t *testing.T, e *Engine) *SlotMover {
	t.Helper()
	apply(t, e)
	m := e.SlotMover()
	if more, err := m.Step(t.Context()); err != nil || !more {
		t.Fatalf("more steps: %v; %v", more, err)
	}
	return m
}

func apply(t *testing.T, e *Engine) {
	t.Helper()
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestSlotsMoveBack: at the end all slots are back, though another farm was loaded since the last step, or is loaded
// now.
func TestSlotsMoveBack(t *testing.T) {
	e, farms, m := moverFor(t)
	table := m.farms[0].tables[0]
	moved := make([]int, len(table.Slots)) // all have the first backend
	if err := e.Nft.SetValues(t.Context(), movesTo(table, table.Slots, moved)); err != nil {
		t.Fatal(err)
	}
	checkOwners(t, m, moved)
	testmachine.Write(t, farms, map[string]string{"other.toml": otherFarm})
	apply(t, e)
	checkOwners(t, m, moved)
	release, err := e.lock(t.Context(), func() {})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Second, release)
	if err := m.End(t.Context()); err != nil {
		t.Error(err)
	}
	checkOwners(t, m, table.Slots)
}

func checkOwners(t *testing.T, m *SlotMover, want []int) {
	t.Helper()
	got, err := m.engine.slotOwners(t.Context(), m.farms[0].tables[0])
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("slots are of %v, want %v; %v", got, want, err)
	}
}

// TestLoadKeepsLifetimes: the estimates of a farm stay when another farm is loaded, so slots move however often that
// happens.
func TestLoadKeepsLifetimes(t *testing.T) {
	e, farms, m := moverFor(t)
	m.farms[0].lifetimes.Note("b1", 100, 1, 1)
	lasts, read := m.farms[0].lifetimes.Of("b1"), m.sample.at
	testmachine.Write(t, farms, map[string]string{"other.toml": otherFarm})
	apply(t, e)
	if err := m.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.farms[0].lifetimes.Of("b1"); got != lasts || m.sample.at != read {
		t.Errorf("after the load a connection lasts %v s, not %v s; counters were read at %v, not %v", got, lasts,
			m.sample.at, read)
	}
}

// TestLoadDuringFollow: a mover that waits for the end of a load follows that load, and compiles no farms anew.
func TestLoadDuringFollow(t *testing.T) {
	e, farms, m := moverFor(t)
	testmachine.Write(t, farms, map[string]string{"other.toml": otherFarm})
	apply(t, e)
	release, err := e.lock(t.Context(), func() {})
	if err != nil {
		t.Fatal(err)
	}
	followed := make(chan error, 1)
	m.engine.Patience = time.Minute
	go func() { followed <- m.follow(t.Context()) }()
	for !isWaiting("SlotMover).follow") {
		select {
		case err := <-followed:
			t.Fatal("the mover does not wait: ", err)
		default:
			runtime.Gosched()
		}
	}
	testmachine.Write(t, farms, map[string]string{"other.toml": strings.ReplaceAll(otherFarm, "10.0.0.1", "10.0.0.3")})
	p, _, err := e.applyLocked(t.Context(), request{readAll: true})
	if release(); err != nil {
		t.Fatal(err)
	}
	if err := <-followed; err != nil || m.digest != p.Script.Digest || len(m.farms) != 1 {
		t.Errorf("the mover has %d farms of %s, want 1 of %s; %v", len(m.farms), m.digest, p.Script.Digest, err)
	}
	if e.memory().kept != nil {
		t.Error("the mover has compiled the farms of the state directory")
	}
}

// isWaiting reports whether a goroutine in a function waits for its turn with an engine.
func isWaiting(function string) bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return slices.ContainsFunc(strings.Split(string(stacks), "\n\n"), func(stack string) bool {
		return strings.Contains(stack, function) && strings.Contains(stack, "live.(*Engine).turn")
	})
}

// TestOldCounter: the first count of a backend is no number of arrivals, because its counter can be older.
func TestOldCounter(t *testing.T) {
	_, _, m := moverFor(t)
	web := m.farms[0]
	b1, b2 := backendName{"web", "b1"}, backendName{"web", "b2"}
	web.note(sample{counts: map[backendName]uint64{b2: 5}}, sample{counts: map[backendName]uint64{b1: 1e6, b2: 7}}, 1)
	if web.arrived != 2 {
		t.Errorf("%d connections arrived, want 2", web.arrived)
	}
}

// TestSlotsOfUnkeptLoad: slots move though the load could not be kept, because the state directory is full.
func TestSlotsOfUnkeptLoad(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": leastConnections})
	state := e.Store.Dir
	testmachine.Must(t, os.Mkdir(state, 0o700), unix.Mount("tmpfs", state, "tmpfs", 0, "size=256k,mode=700"))
	t.Cleanup(func() { _ = unix.Unmount(state, 0) })
	m := step(t, e)
	if err := os.WriteFile(filepath.Join(state, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal("the disk is not full: ", err)
	}
	testmachine.Write(t, farms, map[string]string{"other.toml": otherFarm})
	if _, _, err := e.Apply(t.Context()); !errors.Is(err, ErrUnkept) {
		t.Fatalf("%v, not ErrUnkept", err)
	}
	for name, m := range map[string]*SlotMover{"the same": m, "another": e.SlotMover()} {
		if more, err := m.Step(t.Context()); err != nil || !more {
			t.Errorf("%s mover makes more steps: %v; %v", name, more, err)
		}
	}
}

// TestSharesOfBothFamilies: the present share of a backend is that among the slots of its own family.
func TestSharesOfBothFamilies(t *testing.T) {
	e, _ := engineFor(t, map[string]string{"web.toml": "scheduler = 'least-connections'\n" +
		"listen = ['192.0.2.1:80', '[2001:db8::1]:80']\n[backends]\na.address = '10.0.0.1'\nb.address = '10.0.0.2'\n" +
		"c.address = 'fd00::1'\nd.address = 'fd00::2'\n"})
	m := step(t, e)
	for _, table := range m.farms[0].tables { // all slots have the first backend
		testmachine.Must(t, e.Nft.SetValues(t.Context(), movesTo(table, table.Slots, make([]int, len(table.Slots)))))
	}
	s, err := e.Status(t.Context(), "")
	testmachine.Must(t, err)
	shares := map[string]float64{}
	for _, b := range s.Farms[0].Backends {
		shares[b.Name] = b.Share
	}
	if shares["a"] != 1 || shares["c"] != 1 {
		t.Errorf("got %v, want 1 for a and c", shares)
	}
}

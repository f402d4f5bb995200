package live

import (
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"farmc/cmd/internal/announce"
	"farmc/cmd/internal/testmachine"
	"farmc/compiler/ruleset"
)

const statelessFarm = "mode = 'stateless'\nlisten = '192.0.2.1:80'\nbackends.b1.address = '10.0.0.1'\n"

// TestGuardBeforeChanges: when the receiver of Changes learns that the rules are gone, a guard is there already, if a
// farm is stateless. A second guard waits, because another program could remove each at once. It comes without a word
// of the receiver, who may wait for the end of a pause.
func TestGuardBeforeChanges(t *testing.T) {
	for _, c := range []struct {
		name, farm string
		guards     bool
	}{{"stateless", statelessFarm, true}, {"dnat", plain, false}} {
		t.Run(c.name, func(t *testing.T) {
			e, _ := engineFor(t, map[string]string{"web.toml": c.farm})
			monitor := e.Monitor()
			changes, err := e.Changes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := e.Apply(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-changes // the load
			flush(t)
			<-changes
			checkGuard(t, e, c.guards)
			words, err := monitor.Tampering(t.Context())
			if want := "table inet farmc is gone"; words != want || err != nil {
				t.Errorf("tampering %q, want %q; %v", words, want, err)
			}
			flush(t)
			if c.guards {
				<-changes
			}
			checkGuard(t, e, false)
			if c.guards {
				time.Sleep(guardPause + 300*time.Millisecond)
				checkGuard(t, e, true)
			}
		})
	}
}

// TestGuardAtOnce: a guardian guards by itself, before Changes receives the removal, and once for each removal.
func TestGuardAtOnce(t *testing.T) {
	e, _ := engineFor(t, map[string]string{"web.toml": statelessFarm})
	g, err := e.guardian(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	flush(t)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		g.mu.Lock() // a guard that goes on
		done := !g.last.IsZero()
		g.mu.Unlock()
		if done {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no guard after a removal")
		}
	}
	checkGuard(t, e, true)
	g.removed(t.Context(), g.seen)
	if g.nextDue() != nil {
		t.Error("one removal makes two guards")
	}
}

// TestRoutingRulesUntilGuard: while a guard has to wait, routing rules drop replies of announced farms, and no others.
// They are gone with the guard. Ones that a killed process left go at the start, and with the next load.
func TestRoutingRulesUntilGuard(t *testing.T) {
	const other = "mode = 'stateless'\nlisten = '192.0.2.2:80'\nbackends.b1.address = '10.0.0.2'\n"
	e := announcing(t, map[string]string{"web.toml": "announce = true\n" + statelessFarm, "other.toml": other})
	leave := func() {
		testmachine.Must(t, announce.DropReplies([]ruleset.ReplySource{{Address: netip.MustParseAddr("10.0.0.9")}}))
	}
	leave()
	g, err := e.guardian(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkDropped(t, "")
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	leave()
	e.announce(*e.memory().inKernel.Load())
	checkDropped(t, "")
	g.engine.Patience = 10 * time.Second
	release := e.exclusive()
	flush(t)
	checkDropped(t, "from 10.0.0.1 ipproto tcp sport 80 blackhole proto 251")
	release()
	checkDropped(t, "")
	checkGuard(t, e, true)
}

// TestNoRoutingRulesBesideRules: a guard that is due after another change, while the rules are there, makes no routing
// rules, not even while it waits. They would drop replies that the rules rewrite.
func TestNoRoutingRulesBesideRules(t *testing.T) {
	e := announcing(t, map[string]string{"web.toml": "announce = true\n" + statelessFarm})
	g, err := e.guardian(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.engine.Patience = 10 * time.Second
	release := e.exclusive()
	var guards sync.WaitGroup
	guards.Go(func() { g.guardDue(t.Context()) })
	guards.Go(func() {
		if err := e.GuardReplies(t.Context()); err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
		checkDropped(t, "")
	}
	release()
	guards.Wait()
}

// announcing returns an engine that keeps routes to announced addresses.
func announcing(t *testing.T, files map[string]string) *Engine {
	t.Helper()
	e, _ := engineFor(t, files)
	e.Routes = announce.DefaultTable
	t.Cleanup(func() { e.Routes.Clear() })
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return e
}

// checkDropped waits until the only routing rule that drops replies is want, as ip(8) shows it.
func checkDropped(t *testing.T, want string) {
	t.Helper()
	var got string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		out, err := exec.Command("ip", "rule", "show", "pref", "999").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got = strings.Join(strings.Fields(strings.TrimPrefix(string(out), "999:")), " ")
		if got == want {
			return
		}
	}
	t.Fatalf("routing rules are %q, want %q", got, want)
}

// TestGuardAfterRestart: a process that has loaded nothing, because the files cannot be loaded and the kernel has the
// rules of the last load, guards replies.
func TestGuardAfterRestart(t *testing.T) {
	for _, c := range []struct{ name, files string }{
		{"faulty", "mode = 'none'\n"},
		{"held", statelessFarm + "backends.b2.address = '10.0.0.2'\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			earlier, farms := engineFor(t, map[string]string{"web.toml": statelessFarm})
			if _, _, err := earlier.Apply(t.Context()); err != nil {
				t.Fatal(err)
			}
			testmachine.Write(t, farms, map[string]string{"web.toml": c.files})
			if c.name == "held" {
				rollBack(t, earlier)
			}
			e := &Engine{Dirs: earlier.Dirs, Nft: earlier.Nft, Store: earlier.Store, Log: t.Logf, Cause: "test"}
			e.Monitor()
			changes, err := e.Changes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := e.Apply(t.Context()); !errors.Is(err, ErrFaulty) && !errors.Is(err, ErrHeld) {
				t.Fatal(err)
			}
			flush(t)
			<-changes
			checkGuard(t, e, true)
		})
	}
}

// rollBack loads the files, and rolls back.
func rollBack(t *testing.T, e *Engine) {
	t.Helper()
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Rollback(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// checkGuard compares table inet farmc with the last guard.
func checkGuard(t *testing.T, e *Engine, want bool) {
	t.Helper()
	defer e.exclusive()()
	table, err := e.Nft.TableHandle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := e.isGuard(table); got != want || (table != 0) != want {
		t.Fatalf("table %d is a guard: %v, want %v", table, got, want)
	}
}

package live

import (
	"fmt"
	"os"
	"testing"

	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
)

// report records findings, and returns their changes.
func report(t *testing.T, e *Engine, found preflight.Findings) Look {
	l, recorded, err := e.record(t.Context(), e.compare(e.lastLook(), found), func() bool { return true })
	if err != nil || !recorded {
		t.Fatalf("recorded %v; %v", recorded, err)
	}
	return l
}

// A finding is reported once, again if its remedy changes, and its end once. The record tells the number of findings.
func TestFindingsAreReportedOnce(t *testing.T) {
	e := &Engine{Store: statedir.NewStore(t.TempDir()), Insecure: true}
	finding := func(object, advice string) *preflight.Finding {
		return &preflight.Finding{Kind: "backend", Object: object, Message: "no route to " + object, Advice: advice}
	}
	a, b := finding("a", "add one"), finding("b", "add one")
	for i, step := range []struct {
		found preflight.Findings
		want  string
	}{
		{nil, "[] []"},
		{preflight.Findings{a, b}, "[backend a backend b] []"},
		{preflight.Findings{a, b}, "[] []"},
		{preflight.Findings{b, a}, "[] []"},
		{preflight.Findings{a, finding("b", "none")}, "[backend b] []"},
		{preflight.Findings{finding("b", "none")}, "[] [{backend no route to a}]"},
		{nil, "[] [{backend no route to b}]"},
		{nil, "[] []"},
	} {
		l := report(t, e, step.found)
		ids := []string{}
		for _, f := range l.Appeared {
			ids = append(ids, f.ID())
		}
		if got := fmt.Sprint(ids, " ", l.Ended); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
		if n := e.lastLook().Count; n != len(step.found) {
			t.Errorf("step %d: the record has %d findings, not %d", i, n, len(step.found))
		}
	}
}

// A look that is older than the record begins again, and one at farms that are no longer in force reports nothing.
func TestOlderLookIsNotRecorded(t *testing.T) {
	e := &Engine{Store: statedir.NewStore(t.TempDir()), Insecure: true}
	a, b := &preflight.Finding{Kind: "backend", Object: "a"}, &preflight.Finding{Kind: "backend", Object: "b"}
	older := e.lastLook()
	report(t, e, preflight.Findings{a})
	for _, c := range []struct {
		before            lookRecord
		inForce, recorded bool
		appeared          int
	}{
		{older, true, false, 0},
		{e.lastLook(), false, true, 0},
		{e.lastLook(), true, true, 1},
	} {
		found := e.compare(c.before, preflight.Findings{a, b})
		l, recorded, err := e.record(t.Context(), found, func() bool { return c.inForce })
		if err != nil || recorded != c.recorded || len(l.Appeared) != c.appeared || e.lastLook().Count != 1+c.appeared {
			t.Errorf("%+v: recorded %v, %d appeared; %v", c, recorded, len(l.Appeared), err)
		}
	}
}

// A record of another version, or a damaged one, has the findings reported again.
func TestDamagedRecordOfFindings(t *testing.T) {
	e := &Engine{Store: statedir.NewStore(t.TempDir()), Insecure: true}
	found := preflight.Findings{{Kind: "backend", Object: "a", Message: "no route"}}
	for _, text := range []string{`{"reported":{"backend a":{"text":"no route","hint":""}}}`, "rubbish", ""} {
		if err := os.WriteFile(e.Store.Dir+"/"+statedir.FindingsFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if l := report(t, e, found); len(l.Appeared) != 1 {
			t.Errorf("%q: %d findings appeared", text, len(l.Appeared))
		}
		if l := report(t, e, found); len(l.Appeared) != 0 {
			t.Errorf("%q: they appeared again", text)
		}
	}
}

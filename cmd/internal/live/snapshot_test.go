package live

import (
	"context"
	"testing"
	"time"
)

// A look of watch that waits for a write publishes the farms that the write has loaded. It does not compile them again.
func TestPublishWaitsForAWrite(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	r := NewReader(e)
	p, diagnostics, err := e.Apply(t.Context())
	e.Publish(r, p, diagnostics, err)
	published := make(chan struct{})
	q := NewQueue(e, func(results []WriteResult) {
		go func() {
			defer close(published)
			e.Publish(r, p, diagnostics, err)
		}()
		time.Sleep(100 * time.Millisecond) // until it waits for the engine, which the write occupies
		e.PublishAfter(r, results)
	})
	w := q.Write(t.Context(), creating(farms, "mail.toml", mailFarm))
	<-published
	s := r.Current()
	if w.Err != nil || s.loaded != w.compilation || !s.Loaded("mail") {
		t.Errorf("after the write, with %v: compiled again %t, mail is loaded %t",
			w.Err, s.loaded != w.compilation, s.Loaded("mail"))
	}
}

// A look of watch publishes the farms that a command has loaded since its apply. It does not compile them again.
func TestPublishAfterACommand(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	r := NewReader(e)
	p, diagnostics, err := e.Apply(t.Context())
	w := NewQueue(e, func([]WriteResult) {}).Write(t.Context(), creating(farms, "mail.toml", mailFarm))
	if s := e.Publish(r, p, diagnostics, err); w.Err != nil || s.loaded != w.compilation {
		t.Errorf("after the write, with %v: compiled again %t", w.Err, s.loaded != w.compilation)
	}
}

// A status waits for no operation of the engine, such as a load.
func TestStatusDuringAnOperation(t *testing.T) {
	e, _ := engineFor(t, map[string]string{"web.toml": webFarm})
	r := NewReader(e)
	p, diagnostics, err := e.Apply(t.Context())
	e.Publish(r, p, diagnostics, err)
	defer e.exclusive()()
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	for _, name := range []string{"", "web"} {
		s, err := r.StatusOf(ctx, name, time.Millisecond)
		if err != nil || len(s.Farms) != 1 || s.Rules != RulesLoaded || s.Farms[0].Backends[0].NewPerSecond == nil {
			t.Errorf("the status of %q is %+v, %v", name, s.Farms, err)
		}
	}
	if m, err := r.Measures(ctx); err != nil || len(m.Farms) != 1 {
		t.Errorf("the measures are of %d farms, %v", len(m.Farms), err)
	}
}

package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// An answer that is too long for a page is an error, and no empty page.
func TestLongAnswer(t *testing.T) {
	b := newBench(t)
	b.api.documents["GET /v1/doctor"] = map[string]string{"findings": strings.Repeat("x", maxAnswer)}
	a := b.enter(t, "read").send("GET", "/ui/doctor", nil, nil)
	if a.Code != http.StatusInsufficientStorage || !strings.Contains(a.Body.String(), "too long") {
		t.Errorf("%d", a.Code)
	}
}

// A session keeps a bounded number of outcomes with a bounded number of changes.
func TestOutcomesAreBounded(t *testing.T) {
	b := newBench(t)
	var many []string
	for n := range 1000 {
		many = append(many, fmt.Sprint("change ", n))
	}
	b.api.documents["POST /v1/rollback"] = map[string]any{"changes": many, "warnings": []any{}}
	c := b.enter(t, "write")
	for range 2 * maxOutcomes {
		c.post("/ui/rollback", "steps", "1", "load", theLoad)
	}
	for _, s := range b.sessions.all {
		if len(s.outcomes) != maxOutcomes || len(s.outcomes[0].Changes) != maxItems+1 {
			t.Errorf("%d outcomes, %d changes", len(s.outcomes), len(s.outcomes[0].Changes))
		}
	}
	if !strings.Contains(c.get("/ui/history?done=40"), "950 more") {
		t.Error("the page does not tell how many changes are left out")
	}
}

// A form that is too large is refused before it is read as a whole.
func TestLargeForm(t *testing.T) {
	b := newBench(t)
	c := b.enter(t, "write")
	if a := c.post("/ui/farms/web/bans", "client", strings.Repeat("1", maxForm)); a.Code != http.StatusBadRequest {
		t.Errorf("%d", a.Code)
	}
}

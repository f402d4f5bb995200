package web

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"farmc/cmd/internal/source"
)

// An undo leaves a setting as it is that changed after the action.
func TestUndoAfterAnotherChange(t *testing.T) {
	const state, ban = "GET /v1/farms/web/backends/b1/state", "GET /v1/farms/web/bans/198.51.100.7"
	for _, c := range []struct {
		path, document string
		form           []string
		other          map[string]any // the document that another session causes; nil: none
		words          string
	}{
		{"/ui/farms/web/backends/b1/state", state, []string{"state", "drain"},
			map[string]any{"state": "down", "file": "/run/farmc/farms.d/x"}, "down by /run/farmc/farms.d/x"},
		{"/ui/farms/web/backends/b1/state", state, []string{"state", "drain"},
			map[string]any{"state": "up", "until": "2050-01-02T03:04:05Z"}, "up"},
		{"/ui/farms/web/backends/b1/weight", "GET /v1/overview/web", []string{"weight", "5"},
			map[string]any{"sources": []string{"/run/farmc/farms.d/" + source.WeightDropIn("web", "b1")}},
			"3 by /run/"},
		{"/ui/farms/web/bans", ban, []string{"client", "198.51.100.7"},
			map[string]any{"client": "198.51.100.7", "left": 900.0}, "a ban until "},
		{"/ui/farms/web/unban", "GET /v1/farms/web/bans/198.51.100.8", []string{"client", "198.51.100.8"}, nil,
			"no ban"},
	} {
		b := newBench(t)
		browser := b.enter(t, "state")
		browser.post(c.path, c.form...)
		if c.other == nil {
			delete(b.api.documents, c.document)
		} else {
			b.api.documents[c.document] = c.other
		}
		before := len(b.api.changes())
		a := browser.post("/ui/undo", "outcome", "1")
		if len(b.api.changes()) != before || a.Code != http.StatusSeeOther {
			t.Errorf("undo of %s %v: %d, asked %s", c.path, c.form, a.Code, b.lastChange())
			continue
		}
		page := browser.get(strings.TrimSuffix(a.Header().Get("Location"), "#outcome"))
		if !strings.Contains(page, "Refused: Undone") || !strings.Contains(page, "it is now "+c.words) {
			t.Errorf("undo of %s %v does not tell %q", c.path, c.form, c.words)
		}
	}
}

// A ban of a client that is banned already has that ban for its undo.
func TestUndoOfALongerBan(t *testing.T) {
	b := newBench(t)
	browser := b.enter(t, "state")
	browser.post("/ui/farms/web/bans", "client", "198.51.100.8", "for", "1h")
	browser.post("/ui/undo", "outcome", "1")
	if got := b.lastChange(); got != `PUT {"for":"20s"}` {
		t.Errorf("asked %s", got)
	}
}

// A confirm and a rollback concern the load that their page showed, and no later one.
func TestFormsOfAnEarlierLoad(t *testing.T) {
	b := newBench(t)
	browser := b.enter(t, "write")
	for _, page := range []string{"/ui/", "/ui/problems", "/ui/history/1"} {
		if text := html.UnescapeString(browser.get(page)); !strings.Contains(text, `name="load" value="`+theLoad+`"`) {
			t.Errorf("the forms of %s do not tell their load", page)
		}
	}
	b.api.mu.Lock()
	b.api.asked = nil
	b.api.mu.Unlock()
	for _, load := range []string{"", loadTime + " d0", "2026-01-02T03:03:04Z d1"} {
		for _, path := range []string{"/ui/confirm", "/ui/rollback"} {
			a := browser.post(path, "steps", "1", "load", load)
			if a.Code != http.StatusConflict || len(b.api.changes()) > 0 {
				t.Errorf("%s for load %q: %d, asked %s", path, load, a.Code, b.lastChange())
			}
		}
	}
}

// The undo of a weight restores a weight that outlasts a reboot as one.
func TestUndoKeepsAWeight(t *testing.T) {
	for dir, want := range map[string]string{"farms/": `PUT {"keep":true,"weight":3}`,
		"run/farms/": `PUT {"weight":3}`} {
		b := newBench(t)
		browser := b.enter(t, "state")
		b.api.documents["GET /v1/farms/web/backends/b1/state"] = map[string]any{"state": "up", "weight": 3,
			"keepDir": "farms"}
		b.api.documents["GET /v1/overview/web"] = map[string]any{
			"sources": []string{dir + "web.toml", dir + source.WeightDropIn("web", "b1")}}
		browser.post("/ui/farms/web/backends/b1/weight", "weight", "5")
		browser.post("/ui/undo", "outcome", "1")
		if got := b.lastChange(); got != want {
			t.Errorf("in %s: asked %s, want %s", dir, got, want)
		}
	}
}

// A rollback is undone by another load of the files, on trial, if the kernel had the farms of the files before.
func TestUndoOfARollback(t *testing.T) {
	for pending, want := range map[string]string{"": `POST {"confirm":"5m"}`, "web: new": `POST {"steps":1}`} {
		b := newBench(t)
		browser := b.enter(t, "write")
		changes := []string{}
		if pending != "" {
			changes = append(changes, pending)
		}
		b.api.documents["POST /v1/apply"] = map[string]any{"changes": changes, "left": 300}
		a := browser.post("/ui/rollback", "steps", "1", "load", theLoad)
		browser.post("/ui/undo", "outcome", "1")
		if got := b.lastChange(); got != want {
			t.Errorf("with %q pending: asked %s after %d, want %s", pending, got, a.Code, want)
		}
	}
}

// A key that logs in again and again has one line in the log each minute.
func TestLoginsInTheLog(t *testing.T) {
	b := newBench(t)
	lines := 0
	b.Site.log = func(string, ...any) { lines++ }
	for range 5 {
		b.enter(t, "read")
	}
	b.enter(t, "write")
	b.time = b.time.Add(loginPause)
	b.enter(t, "read")
	if lines != 3 {
		t.Errorf("%d lines, want 3", lines)
	}
}

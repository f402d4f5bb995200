package web

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/live"
)

// overTLS answers a request that came over TLS.
func overTLS(b *bench, r *http.Request) *httptest.ResponseRecorder {
	r.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	b.Site.ServeHTTP(w, r)
	return w
}

// Each action asks the API once, tells its changes, and offers the undo that restores the state before.
func TestActions(t *testing.T) {
	for _, c := range []struct {
		path, body, undo string
		form             []string
	}{
		{path: "/ui/farms/web/backends/b1/state", form: []string{"state", "drain", "for", "15m", "cut", "1"},
			body: `PUT {"cut":true,"for":"15m","state":"drain"}`, undo: `PUT {"state":"up"}`},
		{path: "/ui/farms/web/backends/b1/state", form: []string{"state", "up", "for", "15m"},
			body: `PUT {"state":"up"}`, undo: `PUT {"state":"up"}`},
		{path: "/ui/farms/web/backends/b1/weight", form: []string{"weight", "5"}, body: `PUT {"weight":5}`,
			undo: `PUT {"weight":null}`},
		{path: "/ui/farms/web/backends/b1/weight", form: []string{"weight", ""}, body: `PUT {"weight":null}`,
			undo: `PUT {"weight":null}`},
		{path: "/ui/farms/web/bans", form: []string{"client", " 198.51.100.7 ", "for", "1h"}, body: `PUT {"for":"1h"}`,
			undo: `DELETE `},
		{path: "/ui/farms/web/unban", form: []string{"client", "198.51.100.8/32"}, body: `DELETE `,
			undo: `PUT {"for":"20s"}`},
		{path: "/ui/confirm", form: []string{"load", theLoad}, body: `POST `},
		{path: "/ui/rollback", form: []string{"steps", "1", "load", theLoad}, body: `POST {"steps":1}`},
	} {
		b := newBench(t)
		browser := b.enter(t, "write")
		a := browser.post(c.path, c.form...)
		if got := b.lastChange(); a.Code != http.StatusSeeOther || got != c.body {
			t.Errorf("%s %v: %d, asked %s, want %s", c.path, c.form, a.Code, got, c.body)
			continue
		}
		page := browser.get(strings.TrimSuffix(a.Header().Get("Location"), "#outcome"))
		if offers := strings.Contains(page, `id="undo"`); offers != (c.undo != "") {
			t.Errorf("%s: an undo is offered: %t", c.path, offers)
		}
		if c.undo == "" {
			continue
		}
		a = browser.post("/ui/undo", "outcome", "1")
		if got := b.lastChange(); a.Code != http.StatusSeeOther || got != c.undo {
			t.Errorf("undo of %s %v: %d, asked %s, want %s", c.path, c.form, a.Code, got, c.undo)
		}
		if a = browser.post("/ui/undo", "outcome", "1"); a.Code != http.StatusConflict {
			t.Errorf("a second undo: %d", a.Code)
		}
	}
}

// lastChange is the last request that changes something.
func (b *bench) lastChange() string {
	all := b.api.changes()
	if len(all) == 0 {
		return ""
	}
	last := all[len(all)-1]
	return last.Method + " " + string(last.Body)
}

// The outcome and its undo belong to one session.
func TestOutcomesBelongToTheirSession(t *testing.T) {
	b := newBench(t)
	c, other := b.enter(t, "write"), b.enter(t, "state")
	c.post("/ui/farms/web/bans", "client", "198.51.100.7")
	if strings.Contains(other.get("/ui/farms/web?done=1"), "Banned 198.51.100.7") {
		t.Error("another session sees the outcome")
	}
	if a := other.post("/ui/undo", "outcome", "1"); a.Code != http.StatusConflict {
		t.Errorf("another session undoes: %d", a.Code)
	}
}

// An error of the API is an outcome without an undo.
func TestRefusedAction(t *testing.T) {
	b := newBench(t)
	delete(b.api.documents, "PUT /v1/farms/web/backends/b1/state")
	c := b.enter(t, "state")
	a := c.post("/ui/farms/web/backends/b1/state", "state", "drain")
	page := c.get(strings.TrimSuffix(a.Header().Get("Location"), "#outcome"))
	if !strings.Contains(page, "Refused: ") || !strings.Contains(page, "there is no such farm") ||
		strings.Contains(page, `id="undo"`) {
		t.Error("the page does not tell the error, or offers an undo")
	}
}

// The names in a form cannot lead the request to another path of the API.
func TestNamesStayNames(t *testing.T) {
	b := newBench(t)
	c := b.enter(t, "write")
	for _, client := range []string{"../../x", "198.51.100.0/24", "a\\b", ""} {
		if a := c.post("/ui/farms/web/bans", "client", client); a.Code != http.StatusBadRequest {
			t.Errorf("the client %q: %d", client, a.Code)
		}
	}
	if all := b.api.changes(); len(all) > 0 {
		t.Errorf("the API was asked %v", all)
	}
}

// A name that is not UTF-8 names nothing, and is no failure of the server.
func TestNamesAreUTF8(t *testing.T) {
	b := newBench(t)
	c := b.enter(t, "write")
	b.api.asked = nil
	if a := c.send("GET", "/ui/farms/%ff", nil, nil); a.Code != http.StatusNotFound || len(b.api.asked) > 0 {
		t.Errorf("%d, the API was asked %v", a.Code, b.api.asked)
	}
}

// An undo restores a state of a command with the time that is left, and no state of other files.
func TestStateBefore(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, before := range map[string]live.BackendNow{
		`{"state":"up"}`:                 {State: "up"},
		`{"for":"1m0s","state":"drain"}`: {State: "drain", File: "/run/farmc/farms.d/a", Until: "2026-01-02T03:05:05Z"},
		`{"keep":true,"state":"down"}`:   {State: "down", File: "/etc/farmc/farms.d/a", KeepDir: "/etc/farmc/farms.d"},
	} {
		got, err := json.Marshal(stateBefore(before, now))
		if err != nil || string(got) != want {
			t.Errorf("%+v: %s, want %s, %v", before, got, want, err)
		}
	}
}

// Each page has one main part, one title and one first heading, and names its parts.
func TestStructure(t *testing.T) {
	b := newBench(t)
	c := b.enter(t, "write")
	for _, path := range pages {
		text := c.get(path)
		for part, n := range map[string]int{"<main ": 1, "<h1>": 1, "<title>": 1, `lang="en"`: 1, `class="skip"`: 1,
			`aria-current="page"`: 1} {
			got, several := strings.Count(text, part), part == `aria-current="page"`
			if got < n || got > n && !several {
				t.Errorf("%s has %s %d times", path, part, got)
			}
		}
	}
}

func TestStaticFiles(t *testing.T) {
	b := newBench(t)
	c := &browser{bench: b, t: t}
	for name, kind := range map[string]string{"ui.js": "text/javascript", "ui.css": "text/css",
		"icon.svg": "image/svg+xml"} {
		a := c.send("GET", "/ui/static/"+name+"?v="+b.files[name].version, nil, nil)
		if a.Code != 200 || !strings.HasPrefix(a.Header().Get("Content-Type"), kind) || a.Body.Len() == 0 ||
			!strings.Contains(a.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, a.Code, a.Header())
		}
	}
	for _, name := range []string{"none", "..%2fweb.go", "ui.js/"} {
		if a := c.send("GET", "/ui/static/"+name, nil, nil); a.Code == 200 {
			t.Errorf("%s: %d", name, a.Code)
		}
	}
}

// course returns values as a course; -1 stands for an unknown one.
func course(values ...float32) (out []*float32) {
	for _, v := range values {
		if v < 0 {
			out = append(out, nil)
		} else {
			out = append(out, &v)
		}
	}
	return out
}

func TestSparkline(t *testing.T) {
	draw := func(values ...float32) sparkline {
		return newSparkline(figure{Kind: "new", Label: "New", Course: course(values...), Words: meanWords}, 64, 18)
	}
	s := draw(0, 5, 10)
	if s.Label != "New from 0 to 10, now 10" ||
		!strings.HasSuffix(s.Line, "L63.0 1.5") || strings.Count(s.Line, "L") != 2 {
		t.Errorf("%+v", s)
	}
	if s := draw(3); s.Line != "" {
		t.Errorf("one point: %+v", s)
	}
	if s := draw(0, 0, 0, 0, 0); strings.Contains(s.Line, "NaN") || strings.Count(s.Line, "L") != 1 {
		t.Errorf("zeros: %+v", s)
	}
	if s := draw(1, 2, -1, -1, 3, 4, -1); strings.Count(s.Line, "M") != 2 || strings.Count(s.Area, "Z") != 2 ||
		s.Label != "New from 1 to 4, now 4" {
		t.Errorf("with gaps: %+v", s)
	}
	many := make([]float32, 1000)
	for i := range many {
		many[i] = float32(i % 7)
	}
	many[500] = 99
	if s := draw(many...); strings.Count(s.Line, "L") > 80 || s.Label != "New from 6 to 99, now 6" {
		t.Errorf("%d lines, %s", strings.Count(s.Line, "L"), s.Label)
	}
	if s := draw(-1, -1); s.Line != "" {
		t.Errorf("unknown: %+v", s)
	}
}

// Without bytes of connections a table has no column for them, and the page says why.
func TestUnknownBytes(t *testing.T) {
	b := newBench(t)
	c := b.enter(t, "read")
	for _, path := range []string{"/ui/", "/ui/farms/web"} {
		if page := c.get(path); strings.Contains(page, "c-bytes") || !strings.Contains(page, "acct=1") {
			t.Errorf("%s: a column %t", path, strings.Contains(page, "c-bytes"))
		}
	}
	for _, name := range []string{"GET /v1/overview", "GET /v1/overview/web"} {
		delete(b.api.documents[name].(map[string]any), "noBytes")
	}
	for _, path := range []string{"/ui/", "/ui/farms/web"} {
		if page := c.get(path); strings.Count(page, "c-bytes") != 2 || strings.Contains(page, "acct=1") {
			t.Errorf("%s: %d cells of bytes", path, strings.Count(page, "c-bytes"))
		}
	}
}

// The graphs show the span that the address asks for, and links of a page keep it.
func TestSpan(t *testing.T) {
	c := newBench(t).enter(t, "read")
	for path, want := range map[string]string{
		"/ui/": "from 1 to 3, now 3", "/ui/?span=start": "from 4 to 6, now 6",
		"/ui/?span=nonsense": "from 1 to 3, now 3",
		"/ui/farms/web":      "from 1 to 3, now 3", "/ui/farms/web?span=start": "from 4 to 6, now 6"} {
		if page := c.get(path); !strings.Contains(page, "Open connections "+want) {
			t.Errorf("%s does not show %s", path, want)
		}
	}
	page := c.get("/ui/?span=start&search=x")
	for _, link := range []string{`"/ui/?page=2&amp;search=x&amp;span=start"`,
		`"/ui/?search=x&amp;show=up&amp;span=start"`, `"/ui/?search=x"`} {
		if !strings.Contains(page, link) {
			t.Errorf("no link %s", link)
		}
	}
}

func TestNumbersInWords(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 0.42: "0.4", 12.4: "12", 9999: "9\u202f999", 12345: "12.3k",
		2.5e6: "2.5M"} {
		if got := rateWords(n); got != want {
			t.Errorf("%v is %q", n, got)
		}
	}
	for n, want := range map[float64]string{0: "0 B", 12.3: "12 B", 999.6: "1.0 kB", 1234: "1.2 kB", 34e6: "34 MB",
		999.7e6: "1.0 GB", 5e12: "5.0 TB"} {
		if got := strings.ReplaceAll(bytesWords(n), "\u202f", " "); got != want {
			t.Errorf("%v bytes are %q", n, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567",
		-1000: "-1\u202f000"} {
		if got := thousands(n); got != want {
			t.Errorf("%v is %q", n, got)
		}
	}
}

// Each farm that takes the packet on another interface stands before the place of its key.
func TestOtherInterfaces(t *testing.T) {
	b := newBench(t)
	b.api.documents["GET /v1/explain"] = map[string]any{"found": false, "otherInterfaces": []string{"web", "mail"},
		"boundBy": []string{"web.toml:2", "mail.toml:3"}}
	page := b.enter(t, "read").get("/ui/explain?service=x")
	last := 0
	for _, text := range []string{">web</a>", "web.toml:2", ">mail</a>", "mail.toml:3"} {
		at := strings.Index(page, text)
		if at <= last {
			t.Errorf("%q stands at %d, and should follow %d", text, at, last)
		}
		last = at
	}
}

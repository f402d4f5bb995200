package web

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/relay"
)

// A stub is an API with documents that a test gives. It notes the requests.
type stub struct {
	mu        sync.Mutex
	documents map[string]any // by method and path
	asked     []relay.Request
	guesses   int
}

func (a *stub) Ask(_ context.Context, w http.ResponseWriter, in relay.Request) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, in)
	may := in.Method == "GET" || in.Key.May(apikey.SetState, "web")
	if !may || in.Path == "/v1/rollback" && in.Key.Role != apikey.Write {
		w.WriteHeader(http.StatusForbidden)
		_, err := io.WriteString(w, `{"error":"the key `+in.Key.Name+` does not permit this"}`)
		return err
	}
	if in.Path == "/v1/farms/web/graph" {
		_, err := io.WriteString(w, `<?xml version="1.0"?><svg width="900" height="300"><style></style></svg>`)
		return err
	}
	document, known := a.documents[in.Method+" "+in.Path]
	if !known {
		w.WriteHeader(http.StatusNotFound)
		document = map[string]string{"error": "there is no such farm"}
	}
	return json.NewEncoder(w).Encode(document)
}

func (a *stub) Follow(w http.ResponseWriter, _ *http.Request, _ apikey.Key, valid func() bool) {
	w.Header().Set("Content-Type", "text/event-stream")
	for valid() {
		time.Sleep(5 * time.Millisecond)
	}
}

func (a *stub) Guessed(*http.Request) { a.guesses++ }

// changes returns the requests that change something.
func (a *stub) changes() (out []relay.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.asked {
		if r.Method != "GET" {
			out = append(out, r)
		}
	}
	return out
}

// A bench is a site before a stub, with a key of each role.
type bench struct {
	*Site
	api    *stub
	file   string
	secret map[string]string
	time   time.Time
}

// nasty is a text that does harm wherever it is not escaped.
const nasty = `"><script>alert(1)</script><img src=x onerror=alert(2)>'{{.Token}}`

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{file: filepath.Join(t.TempDir(), "api.keys"), secret: map[string]string{}, time: time.Now()}
	for _, role := range apikey.Roles {
		secret, err := apikey.Create(b.file, apikey.Key{Name: "the-" + string(role), Role: role})
		if err != nil {
			t.Fatal(err)
		}
		b.secret[string(role)] = secret
	}
	keys := apikey.NewFile(func() (io.ReadCloser, error) { return os.Open(b.file) }, t.Logf)
	b.api = &stub{documents: documents()}
	b.Site = New(b.api, keys, "1.2.3", t.Logf)
	b.Site.now = func() time.Time { return b.time }
	return b
}

// documents are answers of an API with a farm "web", and with nasty texts wherever users can write.
func documents() map[string]any {
	backend := map[string]any{"name": "b1", "address": []string{"10.0.0.11"}, "state": "down", "healthy": false,
		"health": []map[string]any{{"by": nasty, "reason": nasty}}, "stateFile": nasty, "host": nasty}
	row := map[string]any{"name": "web", "description": nasty, "condition": "degraded", "group": "problem",
		"listen": []string{nasty}, "problems": []string{nasty}, "backends": 2, "serving": 1,
		"trend":   map[string]any{"open": []any{1, nil, 3}},
		"history": map[string]any{"open": []float32{4, 5, 6}}}
	fault := map[string]any{"farm": "web", "file": nasty, "line": 3, "message": nasty, "hint": nasty,
		"excerpt": []string{nasty, nasty}, "first": 2}
	now := time.Now()
	return map[string]any{
		"GET /v1/overview": map[string]any{"rules": "loaded",
			"load":   map[string]string{"time": loadTime, "digest": "d1", "cause": nasty},
			"groups": map[string]int{"problem": 1}, "found": 1, "page": 1, "pages": 3, "noBytes": nasty + "acct=1",
			"farms": []any{row}, "faults": []any{fault}, "pending": []string{nasty}, "trial": 42.0},
		"GET /v1/overview/web": map[string]any{"name": "web", "farm": map[string]string{"description": nasty},
			"sources": []string{nasty}, "faults": []any{fault}, "row": row, "mayBan": true, "bans": 1,
			"noBytes":  nasty + "acct=1",
			"banned":   []any{map[string]any{"client": "198.51.100.7", "left": 20.0}},
			"heldBack": map[string]int{"denied": 3}, "backends": []any{backend}},
		"GET /v1/changes": map[string]any{"since": now, "changes": []any{map[string]any{"time": now, "farm": "web",
			"backend": nasty, "words": nasty, "by": nasty, "worse": true}}},
		"GET /v1/diff": map[string]any{"changes": []string{nasty}, "reason": nasty,
			"diff": "+" + nasty + "\n-" + nasty},
		"GET /v1/script/lines": map[string]any{"total": 900, "from": 1, "lines": []any{map[string]any{"number": 1,
			"text": nasty, "farm": "web", "file": nasty, "key": nasty}},
			"farm": []any{map[string]int{"from": 1, "to": 1}}},
		"GET /v1/explain": map[string]any{"found": true, "packet": nasty, "farm": "web", "listen": nasty,
			"place": nasty,
			"stops": []any{map[string]string{"reason": nasty, "place": nasty}}, "others": []string{nasty},
			"backends": []any{map[string]any{"name": nasty, "address": nasty, "share": 1, "place": nasty}}},
		"GET /v1/doctor": map[string]any{"findings": []any{map[string]any{"kind": nasty, "object": nasty,
			"effect":  "stops",
			"message": nasty, "commands": []string{nasty}, "advice": nasty, "farms": []string{"web"}}}},
		"GET /v1/history": map[string]any{"loads": []any{map[string]any{"time": loadTime, "script": "d1",
			"cause": nasty},
			map[string]any{"time": now, "cause": nasty, "farms": []string{"web"}}}},
		"POST /v1/rollback":                      map[string]any{"changes": []string{nasty}, "warnings": []any{}},
		"POST /v1/confirm":                       map[string]any{},
		"GET /v1/farms/web/backends/b1/state":    map[string]any{"state": "up", "weight": 3},
		"PUT /v1/farms/web/backends/b1/state":    map[string]any{"changes": []string{nasty}, "warnings": []any{}},
		"PUT /v1/farms/web/backends/b1/weight":   map[string]any{"changes": []string{"weight 5"}, "warnings": []any{}},
		"GET /v1/farms/web/bans/198.51.100.8":    map[string]any{"client": "198.51.100.8", "left": 20.4},
		"PUT /v1/farms/web/bans/198.51.100.7":    map[string]any{"changes": []string{"banned"}, "warnings": []any{}},
		"DELETE /v1/farms/web/bans/198.51.100.7": map[string]any{"changes": []string{"ended"}, "warnings": []any{}},
		"PUT /v1/farms/web/bans/198.51.100.8":    map[string]any{"changes": []string{"banned"}, "warnings": []any{}},
		"DELETE /v1/farms/web/bans/198.51.100.8": map[string]any{"changes": []string{"ended"}, "warnings": []any{}},
	}
}

// A browser keeps a cookie, and the token of the last page.
type browser struct {
	*bench
	t      *testing.T
	cookie *http.Cookie
	token  string
}

// enter returns a browser with a session for the key of a role.
func (b *bench) enter(t *testing.T, role string) *browser {
	t.Helper()
	c := &browser{bench: b, t: t}
	a := c.send("POST", "/ui/login", url.Values{"key": {b.secret[role]}}, nil)
	if a.Code != http.StatusSeeOther {
		t.Fatalf("login with role %s: %d %s", role, a.Code, a.Body)
	}
	c.get("/ui/farms/web")
	return c
}

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

// send sends a request as a browser does.
func (c *browser) send(method, path string, form url.Values, header map[string]string) *httptest.ResponseRecorder {
	c.t.Helper()
	r := httptest.NewRequest(method, "http://farmc.test"+path, strings.NewReader(form.Encode()))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	if c.cookie != nil {
		r.AddCookie(c.cookie)
	}
	w := httptest.NewRecorder()
	c.Site.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		c.cookie = cookie
	}
	if found := tokenField.FindStringSubmatch(w.Body.String()); found != nil {
		c.token = found[1]
	}
	return w
}

// get reads a page, which must be there.
func (c *browser) get(path string) string {
	c.t.Helper()
	a := c.send("GET", path, nil, nil)
	if a.Code != http.StatusOK {
		c.t.Fatalf("%s: %d %s", path, a.Code, a.Body)
	}
	return a.Body.String()
}

// post sends a form with the token of the last page.
func (c *browser) post(path string, pairs ...string) *httptest.ResponseRecorder {
	c.t.Helper()
	form := url.Values{"token": {c.token}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return c.send("POST", path, form, nil)
}

// pages are the paths of all pages.
var pages = []string{"/ui/", "/ui/farms/web", "/ui/problems", "/ui/script?farm=web", "/ui/explain?service=x",
	"/ui/doctor", "/ui/history", "/ui/history/1"}

// actions are the paths of all forms that change something, with their fields.
var actions = map[string][]string{
	"/ui/farms/web/backends/b1/state":  {"state", "drain"},
	"/ui/farms/web/backends/b1/weight": {"weight", "5"},
	"/ui/farms/web/bans":               {"client", "198.51.100.7"},
	"/ui/farms/web/unban":              {"client", "198.51.100.8"},
	"/ui/confirm":                      {"load", theLoad},
	"/ui/rollback":                     {"steps", "1", "load", theLoad},
}

// The load in force, and how forms tell it.
const (
	loadTime = "2026-01-02T03:04:05Z"
	theLoad  = loadTime + " d1"
)

func sortedActions() []string {
	var out []string
	for path := range actions {
		out = append(out, path)
	}
	slices.Sort(out)
	return out
}

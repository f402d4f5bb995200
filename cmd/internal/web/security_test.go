package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"farmc/cmd/internal/apikey"
)

func TestEachPageNeedsASession(t *testing.T) {
	b := newBench(t)
	c := &browser{bench: b, t: t}
	for _, path := range pages {
		a := c.send("GET", path, nil, nil)
		if to := a.Header().Get("Location"); a.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/ui/login") {
			t.Errorf("%s: %d to %q", path, a.Code, to)
		}
	}
	for path, form := range actions {
		if a := c.post(path, form...); a.Code != http.StatusSeeOther || a.Header().Get("Location") != "/ui/login" {
			t.Errorf("%s: %d", path, a.Code)
		}
	}
	for _, path := range []string{"/ui/events", "/ui/"} {
		if a := c.send("GET", path, nil, map[string]string{liveHeader: "1"}); a.Code != http.StatusUnauthorized {
			t.Errorf("%s by the script: %d", path, a.Code)
		}
	}
	if len(b.api.asked) > 0 {
		t.Errorf("the API was asked %v", b.api.asked)
	}
}

func TestHeaders(t *testing.T) {
	b := newBench(t)
	c := b.enter(t, "write")
	for _, path := range append([]string{"/ui/login", "/ui/none", "/ui/static/ui.js"}, pages...) {
		h := c.send("GET", path, nil, nil).Header()
		policy := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'",
			"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy lacks %s", path, part)
			}
		}
		if strings.Contains(policy, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Frame-Options") != "DENY" ||
			h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestCookie(t *testing.T) {
	b := newBench(t)
	a := (&browser{bench: b, t: t}).send("POST", "/ui/login", url.Values{"key": {b.secret["read"]}}, nil)
	cookie := a.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Secure ||
		cookie.Name != "farmc" || strings.Contains(a.Header().Get("Set-Cookie"), b.secret["read"]) {
		t.Errorf("the cookie is %v", cookie)
	}
	r, err := http.NewRequest("POST", "https://farmc.test/ui/login", strings.NewReader("key="+b.secret["read"]))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := overTLS(b, r)
	if cookie := w.Result().Cookies()[0]; !cookie.Secure || cookie.Name != "__Host-farmc" {
		t.Errorf("over TLS the cookie is %v", cookie)
	}
}

// Cookies of a browser hold for all ports of a host, so each port has its own name.
func TestCookieOfAPort(t *testing.T) {
	b := newBench(t)
	for host, want := range map[string]string{"localhost:5555": "farmc-5555", "[::1]:5556": "farmc-5556",
		"localhost": "farmc", "localhost:a; b": "farmc"} {
		r := httptest.NewRequest("POST", "/ui/login", strings.NewReader("key="+b.secret["read"]))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Host = host
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		cookie := w.Result().Cookies()[0]
		next := httptest.NewRequest("GET", "/ui/", nil)
		next.Host = host
		next.AddCookie(cookie)
		if cookie.Name != want || b.sessionOf(next) == nil {
			t.Errorf("at %s the cookie is %v", host, cookie)
		}
	}
}

// A login with the cookie of a session ends that session.
func TestSecondLogin(t *testing.T) {
	b := newBench(t)
	c := b.enter(t, "write")
	first := *c
	c.send("POST", "/ui/login", url.Values{"key": {b.secret["read"]}}, nil)
	if first.send("GET", "/ui/", nil, nil).Code == http.StatusOK ||
		c.send("GET", "/ui/", nil, nil).Code != http.StatusOK {
		t.Errorf("%d sessions", len(b.sessions.all))
	}
}

// elsewhere are the headers of a form that another site sends by an old browser.
var elsewhere = map[string]string{"Sec-Fetch-Site": "", "Origin": "http://evil.test"}

func TestLoginRefuses(t *testing.T) {
	b := newBench(t)
	for rule, c := range map[string]struct {
		key    string
		status int
		header map[string]string
	}{
		"a wrong key":              {"farmc_x", 401, nil},
		"no key":                   {"", 401, nil},
		"a key of the role health": {b.secret["health"], 403, nil},
		"a form of another site":   {b.secret["read"], 403, map[string]string{"Sec-Fetch-Site": "cross-site"}},
		"another origin":           {b.secret["read"], 403, elsewhere},
	} {
		a := (&browser{bench: b, t: t}).send("POST", "/ui/login", url.Values{"key": {c.key}}, c.header)
		if a.Code != c.status || len(a.Result().Cookies()) > 0 {
			t.Errorf("%s: %d %v", rule, a.Code, a.Result().Cookies())
		}
	}
	if b.api.guesses != 2 {
		t.Errorf("%d guesses are slowed, want 2", b.api.guesses)
	}
}

func TestLoginLeadsToPagesAlone(t *testing.T) {
	for text, want := range map[string]string{
		"/ui/farms/web?done=1":  "/ui/farms/web?done=1",
		"":                      "/ui/",
		"//evil.test/ui/":       "/ui/",
		"https://evil.test/ui/": "/ui/",
		"/v1/status":            "/ui/",
		"/ui/\\evil.test":       "/ui/",
		"javascript:alert(1)":   "/ui/",
		"/\\evil.test/ui/":      "/ui/",
		"/ui/../v1/status":      "/ui/",
		"/ui/..//evil.test":     "/ui/",
		"/ui/%2e%2e/healthz":    "/ui/",
		"/ui/?search=a/../b":    "/ui/?search=a/../b",
	} {
		if got := nextPath(text); got != want {
			t.Errorf("%q leads to %q", text, got)
		}
	}
}

// A form needs the token of its session, and comes from a page of this server.
func TestForgedForms(t *testing.T) {
	b := newBench(t)
	c, other := b.enter(t, "write"), b.enter(t, "write")
	for rule, forge := range map[string]func(path string, form url.Values) int{
		"no token": func(path string, form url.Values) int {
			form.Del("token")
			return c.send("POST", path, form, nil).Code
		},
		"the token of another session": func(path string, form url.Values) int {
			form.Set("token", other.token)
			return c.send("POST", path, form, nil).Code
		},
		"a token in the address": func(path string, form url.Values) int {
			form.Del("token")
			return c.send("POST", path+"?token="+url.QueryEscape(c.token), form, nil).Code
		},
		"another site": func(path string, form url.Values) int {
			return c.send("POST", path, form, map[string]string{"Sec-Fetch-Site": "cross-site"}).Code
		},
		"another origin": func(path string, form url.Values) int {
			return c.send("POST", path, form, elsewhere).Code
		},
		"a site beside": func(path string, form url.Values) int {
			return c.send("POST", path, form, map[string]string{"Sec-Fetch-Site": "same-site"}).Code
		},
	} {
		for path, fields := range actions {
			form := url.Values{"token": {c.token}}
			for i := 0; i+1 < len(fields); i += 2 {
				form.Set(fields[i], fields[i+1])
			}
			if status := forge(path, form); status != http.StatusForbidden {
				t.Errorf("%s to %s: %d", rule, path, status)
			}
		}
	}
	if changed := b.api.changes(); len(changed) > 0 {
		t.Errorf("the API was asked %v", changed)
	}
	for path := range actions {
		if a := c.send("GET", path, nil, nil); a.Code == http.StatusOK || len(b.api.changes()) > 0 {
			t.Errorf("GET %s: %d", path, a.Code)
		}
	}
}

// A key that only reads is offered no action, and the API refuses a forged one.
func TestReadersAct(t *testing.T) {
	b := newBench(t)
	reader, writer := b.enter(t, "read"), b.enter(t, "write")
	for _, path := range pages[:7] {
		if posts := strings.Count(reader.get(path), `method="post"`); posts != 1 { // that of the logout
			t.Errorf("%s offers %d actions to a reader", path, posts)
		}
	}
	if page := writer.get("/ui/farms/web"); strings.Count(page, `method="post"`) < 5 {
		t.Error("a writer is offered no action")
	}
	for _, path := range sortedActions() {
		a := reader.post(path, actions[path]...)
		if a.Code != http.StatusForbidden || !strings.Contains(a.Body.String(), "does not permit this") {
			t.Errorf("%s by a reader: %d", path, a.Code)
		}
	}
	if a := reader.send("GET", "/ui/history/1", nil, nil); a.Code != http.StatusForbidden {
		t.Errorf("the dry run of a rollback by a reader: %d", a.Code)
	}
	for _, r := range b.api.changes() {
		if r.Key.Role != apikey.Read {
			t.Errorf("asked as %v", r.Key)
		}
	}
}

// Texts of users are text on each page: no tag of theirs, and no code or style within the page.
func TestStoredInjection(t *testing.T) {
	b := newBench(t)
	c := b.enter(t, "write")
	c.post("/ui/farms/web/backends/b1/state", "state", "drain")
	for _, path := range append([]string{"/ui/farms/web?done=1", "/ui/?search=" + url.QueryEscape(nasty),
		"/ui/script?farm=" + url.QueryEscape(nasty), "/ui/explain?service=" + url.QueryEscape(nasty) + "&from=" +
			url.QueryEscape(nasty), "/ui/login?next=" + url.QueryEscape(nasty)}, pages...) {
		text := c.get(path)
		if !strings.Contains(text, "alert") {
			t.Errorf("%s shows no text of users", path)
		}
		root, err := html.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			if fault := faultOf(n); fault != "" {
				t.Errorf("%s has %s", path, fault)
			}
		}
	}
}

// faultOf returns the code or the style in a node, or an element that no template has.
func faultOf(n *html.Node) string {
	if n.Type != html.ElementNode {
		return ""
	}
	for _, a := range n.Attr {
		if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(a.Val, "javascript:") {
			return n.Data + " " + a.Key + "=" + a.Val
		}
	}
	switch n.Data {
	case "img":
		if n.Attr[1].Val != "/ui/farms/web/graph.svg" {
			return "an image"
		}
	case "style", "iframe", "object", "embed", "base":
		return n.Data
	case "script":
		if n.FirstChild != nil || !strings.HasPrefix(n.Attr[0].Val, "/ui/static/ui.js?v=") {
			return "a script"
		}
	}
	return ""
}

func TestSessionsEnd(t *testing.T) {
	b := newBench(t)
	lives := func(c *browser) bool { return c.send("GET", "/ui/", nil, nil).Code == http.StatusOK }
	idle, busy, out := b.enter(t, "read"), b.enter(t, "read"), b.enter(t, "read")
	a := out.post("/ui/logout")
	if a.Code != http.StatusSeeOther || a.Result().Cookies()[0].MaxAge >= 0 || len(b.sessions.all) != 2 {
		t.Errorf("logout: %d, %d sessions", a.Code, len(b.sessions.all))
	}
	for range 30 {
		b.time = b.time.Add(20 * time.Minute)
		if !lives(busy) {
			t.Fatal("a session that is used has ended")
		}
	}
	if lives(idle) {
		t.Error("a session lives without requests")
	}
	b.time = b.time.Add(20 * time.Minute)
	lives(busy)
	for range 6 {
		b.time = b.time.Add(20 * time.Minute)
		lives(busy)
	}
	if lives(busy) {
		t.Error("a session lives longer than its whole time")
	}
}

// A key that is deleted, or gets another role, ends its sessions and their events.
func TestRevokedKey(t *testing.T) {
	b := newBench(t)
	c, other := b.enter(t, "write"), b.enter(t, "read")
	ended := make(chan struct{})
	follower := *c
	go func() { follower.send("GET", "/ui/events", nil, nil); close(ended) }()
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "the-write write", "the-write state", 1)
	if err := os.WriteFile(b.file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := c.post("/ui/rollback", "steps", "1"); a.Code != http.StatusSeeOther || len(b.api.changes()) > 0 {
		t.Errorf("a revoked key acts: %d", a.Code)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the events outlast the key")
	}
	if other.send("GET", "/ui/", nil, nil).Code != http.StatusOK {
		t.Error("the session of another key has ended")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	var s sessions
	now := time.Now()
	first := s.begin(apikey.Key{Name: "a"}, now)
	for range maxPerKey {
		now = now.Add(time.Second)
		s.begin(apikey.Key{Name: "a"}, now)
	}
	if len(s.all) != maxPerKey || s.find(first, now) != nil {
		t.Errorf("%d sessions of a key", len(s.all))
	}
	for n := range 2 * maxSessions {
		s.begin(apikey.Key{Name: "key" + string(rune(n))}, now)
	}
	if len(s.all) != maxSessions {
		t.Errorf("%d sessions", len(s.all))
	}
}

package api

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/apikey"
)

// writeRoutes stand for the routes that change something.
var writeRoutes = []Route{
	{"PUT", "/v1/write/{farm}", apikey.WriteAll, done},
}

func done(_ *Server, w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// A request with the permission and without a document gets 400.
func TestRoles(t *testing.T) {
	s := start(t, siteFiles, writeRoutes...)
	const state, health = "/v1/farms/web/backends/b1/state", "/v1/farms/web/backends/b1/health"
	tests := []struct {
		key, method, path string
		want              int
	}{
		{"reader", "GET", "/v1/farms/web", 200},
		{"reader", "GET", "/v1/history", 200},
		{"reader", "PUT", "/v1/farms/web", 403},
		{"reader", "PUT", state, 403},
		{"reader", "PUT", health, 403},
		{"stater", "GET", "/v1/farms/web", 200},
		{"stater", "PUT", state, 400},
		{"stater", "PUT", health, 400},
		{"stater", "PUT", "/v1/farms/web", 403},
		{"limited", "PUT", state, 400},
		{"limited", "PUT", "/v1/farms/mail/backends/b1/state", 403},
		{"limited", "PUT", "/v1/farms/none/backends/b1/state", 403},
		{"limited", "PUT", "/v1/health", 403},
		{"limited", "PUT", "/v1/farms/mail/backends/b1/weight", 403},
		{"limited", "PUT", "/v1/farms/mail/backends/b1/health", 403},
		{"limited", "PUT", "/v1/farms/mail/bans/198.51.100.7", 403},
		{"limited", "DELETE", "/v1/farms/mail/sessions", 403},
		{"reader", "PUT", "/v1/farms/web/backends/b1/weight", 403},
		{"reader", "DELETE", health, 403},
		{"reader", "PUT", "/v1/health", 403},
		{"reader", "PUT", "/v1/farms/web/bans/198.51.100.7", 403},
		{"reader", "DELETE", "/v1/farms/web/bans/198.51.100.7", 403},
		{"reader", "DELETE", "/v1/farms/web/sessions/198.51.100.7", 403},
		{"reader", "PUT", "/v1/lists/bad", 403},
		{"stater", "PUT", "/v1/health", 400},
		{"stater", "PUT", "/v1/lists/bad", 403},
		{"stater", "POST", "/v1/lists/bad/entries", 403},
		{"stater", "DELETE", "/v1/lists/bad/entries", 403},
		{"stater", "DELETE", "/v1/lists/bad", 403},
		{"checker", "GET", health, 200},
		{"checker", "PUT", "/v1/health", 400},
		{"checker", "PUT", "/v1/farms/web/backends/b1/weight", 403},
		{"checker", "PUT", "/v1/farms/web/bans/198.51.100.7", 403},
		{"checker", "GET", "/v1/farms/web/bans", 403},
		{"checker", "GET", "/v1/farms/web/sessions", 403},
		{"checker", "DELETE", "/v1/farms/web/sessions", 403},
		{"checker", "PUT", "/v1/lists/bad", 403},
		{"checker", "GET", "/v1/lists/bad", 403},
		{"checker", "GET", "/v1/farms", 200},
		{"checker", "GET", "/v1/history", 403},
		{"checker", "GET", "/v1/script", 403},
		{"checker", "POST", "/v1/check", 403},
		{"checker", "PUT", health, 400},
		{"checker", "PUT", state, 403},
		{"checker", "PUT", "/v1/farms/web", 403},
		{"writer", "PUT", "/v1/write/web", 204},
		{"writer", "PUT", "/v1/farms/mail/backends/b1/state", 400},
		{"writer", "GET", "/v1/history", 200},
	}
	for _, tt := range tests {
		x := s.do(t, exchange{key: tt.key, method: tt.method, path: tt.path})
		if x.status != tt.want {
			t.Errorf("%s %s with the key %s: %d, want %d", tt.method, tt.path, tt.key, x.status, tt.want)
		}
		if x.status == 403 && strings.Contains(x.answer, s.secret[tt.key]) {
			t.Errorf("the answer has the key: %s", x.answer)
		}
	}
}

// Each route of the program refuses requests without a key, and the health key all but the routes about farms.
func TestEveryRouteNeedsAKey(t *testing.T) {
	s := start(t, siteFiles)
	for _, route := range Routes() {
		path := strings.NewReplacer("{farm}", "web", "{backend}", "b1", "{address}", "198.51.100.7",
			"{list}", "bad", "{client}", "198.51.100.7").Replace(route.Path)
		if x := s.do(t, exchange{method: route.Method, path: path}); (x.status == 401) == (path == healthPath) {
			t.Errorf("%s %s without a key: %d", route.Method, path, x.status)
		}
		if strings.Contains(path, "{") {
			t.Errorf("%s has another wildcard", path)
		}
	}
}

func TestKeysOfRequests(t *testing.T) {
	s := start(t, siteFiles)
	good := s.secret["reader"]
	tests := []struct {
		rule   string
		header http.Header
		want   int
	}{
		{"none", http.Header{}, 401},
		{"Key", http.Header{"Key": {good}}, 200},
		{"Bearer", http.Header{"Authorization": {"Bearer " + good}}, 200},
		{"bearer in lower case", http.Header{"Authorization": {"bearer " + good}}, 200},
		{"a wrong key", http.Header{"Key": {good + "x"}}, 401},
		{"a part of a key", http.Header{"Key": {good[:len(good)-1]}}, 401},
		{"an empty key", http.Header{"Key": {""}}, 401},
		{"the digest", http.Header{"Key": {digestIn(t, s.keys)}}, 401},
		{"the name", http.Header{"Key": {"reader"}}, 401},
		{"Basic", http.Header{"Authorization": {"Basic " + good}}, 401},
		{"no scheme", http.Header{"Authorization": {good}}, 401},
		{"two keys", http.Header{"Key": {good, good}}, 401},
		{"two headers", http.Header{"Key": {good}, "Authorization": {"Bearer " + good}}, 401},
		{"a wrong key before a right one", http.Header{"Key": {"x"}, "Authorization": {"Bearer " + good}}, 401},
	}
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.address+"/v1/farms", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = tt.header
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", tt.rule, a.StatusCode, tt.want)
		}
	}
}

// digestIn returns the first digest of a file of keys.
func digestIn(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(strings.Fields(string(text))[2], "sha256:")
}

// A 401 is the same for every path and every reason.
func TestUnauthorizedTellsNothing(t *testing.T) {
	s := start(t, siteFiles)
	for _, path := range []string{"/v1/farms", "/v1/farms/web", "/v1/farms/none", "/v1/nothing", "/"} {
		for _, header := range []map[string]string{nil, {"Key": "wrong"}, {"Authorization": "Bearer wrong"}} {
			x := s.do(t, exchange{path: path, header: header})
			if x.status != 401 || x.answer != "{\"error\":\"Unauthorized\"}\n" {
				t.Errorf("%s with %v: %d %q", path, header, x.status, x.answer)
			}
		}
	}
}

// A key that is revoked is refused at the next request of an open connection.
func TestRevokedKey(t *testing.T) {
	s := start(t, siteFiles)
	client := &http.Client{Transport: &http.Transport{}}
	ask := func() int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.address+"/v1/farms", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Key", s.secret["reader"])
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode
	}
	if got := ask(); got != 200 {
		t.Fatal(got)
	}
	text, _ := os.ReadFile(s.keys)
	_, rest, _ := strings.Cut(string(text), "\n") // the first line is that of the reader
	if err := os.WriteFile(s.keys, []byte(rest), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != 401 {
		t.Errorf("the revoked key: %d", got)
	}
}

// Wrong keys are answered after a pause, and logged with the peer at a bounded rate. Right keys are not delayed.
func TestGuessesAreSlowedAndLogged(t *testing.T) {
	s := newSite(t, siteFiles)
	s.failed.pause = time.Hour
	s.address = s.serve(t, listen(t))
	waits := make(chan exchange)
	ctx := t.Context()
	go func() {
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+s.address+"/v1/farms", nil)
		r.Header.Set("Key", "farmc_guess")
		if a, err := http.DefaultClient.Do(r); err == nil {
			waits <- exchange{status: a.StatusCode}
		}
	}()
	for !strings.Contains(s.logs(), "wrong key") {
		time.Sleep(time.Millisecond)
	}
	s.get(t, "/v1/farms")
	select {
	case x := <-waits:
		t.Errorf("the guess was answered with %d", x.status)
	default:
	}
	for range 50 {
		if x := s.do(t, exchange{path: "/v1/farms"}); x.status != 401 {
			t.Fatal(x.status)
		}
	}
	if got := s.logs(); got != "API: a request with a wrong key from 127.0.0.1\n"+
		"API: a request without a key from 127.0.0.1" {
		t.Errorf("the log is %q", got)
	}
}

// A browser that reaches the socket through a port that root forwards needs a key: another site could send its forms.
func TestRootInABrowserNeedsAKey(t *testing.T) {
	s := start(t, siteFiles)
	for _, c := range []struct {
		name, value string
		known       bool
	}{
		{"User-Agent", "curl/7.88.1", true},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)", false},
		{"Origin", "http://evil.test", false},
		{"Origin", "null", false},
		{"Sec-Fetch-Site", "cross-site", false},
	} {
		r := httptest.NewRequest("POST", "/v1/rollback", nil)
		r.Header.Set(c.name, c.value)
		r = r.WithContext(withConn(t.Context(), &conn{isRoot: true}))
		if key, ok := s.identify(r); ok != c.known || ok && key.Role != apikey.Root().Role {
			t.Errorf("%s %q: %t %+v", c.name, c.value, ok, key)
		}
	}
}

func TestRootNeedsNoKey(t *testing.T) {
	s := start(t, siteFiles)
	path := filepath.Join(t.TempDir(), "run", "api.sock")
	s.serveUnix(t, path)
	want := map[bool]int{true: 200, false: 401}[os.Getuid() == 0]
	if got := s.overUnix(t, path, ""); got != want {
		t.Errorf("without a key on the unix socket: %d, want %d", got, want)
	}
	if got := s.overUnix(t, path, "wrong"); got != 401 {
		t.Errorf("a wrong key on the unix socket: %d", got)
	}
	if got := s.overUnix(t, path, s.secret["reader"]); got != 200 {
		t.Errorf("a key on the unix socket: %d", got)
	}
}

package api

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/event"
	"farmc/cmd/internal/relay"
)

// Requests of pages come to their handler without a key, and with the state of TLS; malformed paths do not.
func TestPagesCheckKeysThemselves(t *testing.T) {
	s := start(t, siteFiles)
	var paths []string
	s.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		if r.TLS != nil {
			w.WriteHeader(http.StatusAccepted)
		}
	})
	for path, want := range map[string]int{"/ui": 200, "/ui/": 200, "/ui/farms/web": 200, "/ui/../v1/status": 404,
		"/ui//": 404, "/ui/farms/a%2fb": 404, "/uix": 401, "/v1/status": 401} {
		if x := s.do(t, exchange{path: path}); x.status != want {
			t.Errorf("%s: %d, want %d", path, x.status, want)
		}
	}
	if len(paths) != 3 {
		t.Errorf("the pages were asked %q", paths)
	}
}

// Ask has the permissions of its key alone, in this process and behind a front.
func TestAsk(t *testing.T) {
	for _, behind := range []bool{false, true} {
		s := newSite(t, siteFiles)
		server := s.Server
		if behind {
			server = newFront(s.forwarder(s.serveRelay(t)), s.Keys, Routes())
		}
		for _, c := range []struct {
			method, path string
			role         apikey.Role
			want         int
		}{
			{"GET", "/v1/overview", apikey.Read, 200},
			{"GET", "/v1/overview/none", apikey.Read, 404},
			{"PUT", "/v1/farms/web/backends/b1/state", apikey.Read, 403},
			{"POST", "/v1/rollback", apikey.State, 403},
			{"GET", "/v1/status", apikey.Health, 403},
			{"GET", "/v1/../v1/status", apikey.Read, 404},
		} {
			w := httptest.NewRecorder()
			in := relay.Request{Method: c.method, Path: c.path, Key: apikey.Key{Name: "a", Role: c.role},
				Header: http.Header{}}
			if err := server.Ask(t.Context(), w, in); err != nil || w.Code != c.want {
				t.Errorf("behind a front %t: %s %s as %s: %d %s, want %d, %v", behind, c.method, c.path, c.role, w.Code,
					w.Body, c.want, err)
			}
		}
	}
}

// Events of a page end when its session does.
func TestFollowEndsWithTheSession(t *testing.T) {
	s := newSite(t, siteFiles)
	s.heartbeat = 1 // nanosecond
	w, asked := httptest.NewRecorder(), 0
	r := httptest.NewRequest("GET", "/ui/events", nil)
	s.Follow(w, r, apikey.Key{Name: "a", Role: apikey.Read}, func() bool { asked++; return asked < 3 })
	if asked < 3 && s.Events != nil {
		t.Errorf("the session was asked for %d times", asked)
	}
}

// An answer to HEAD has no events, and ends.
func TestFollowByHead(t *testing.T) {
	s := newSite(t, siteFiles)
	s.Events = event.NewStream(3)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, "HEAD", "/ui/events", nil)
	w := httptest.NewRecorder()
	s.Follow(w, r, apikey.Key{Name: "a", Role: apikey.Read}, func() bool { return true })
	if ctx.Err() != nil || w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("%d %q, %v", w.Code, w.Body, ctx.Err())
	}
}

func TestPagesKnowTLS(t *testing.T) {
	client, server := tlsPair(t)
	defer client.Close()
	r := httptest.NewRequest("GET", "/ui/", nil)
	c := &conn{Conn: server, raw: server.NetConn()}
	if got := withTLS(r.WithContext(withConn(context.Background(), c))); got.TLS == nil {
		t.Error("a request over TLS is not known as one")
	}
	c = &conn{Conn: server.NetConn(), raw: server.NetConn()}
	if got := withTLS(r.WithContext(withConn(context.Background(), c))); got.TLS != nil {
		t.Error("a request without TLS has the state of one")
	}
}

// tlsPair returns the two ends of a TLS connection before its handshake.
func tlsPair(t *testing.T) (client, server *tls.Conn) {
	t.Helper()
	l := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(l.Close)
	c, err := tls.Dial("tcp", strings.TrimPrefix(l.URL, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return c, c
}

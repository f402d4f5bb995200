package checker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An api is farmc watch on a unix socket, with one answer to each kind of request.
type api struct {
	socket string
	answer func(w http.ResponseWriter, r *http.Request)
	bodies []string // of requests
	keys   []string
}

func newAPI(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *api {
	t.Helper()
	a := &api{socket: filepath.Join(t.TempDir(), "s"), answer: answer}
	listener, err := net.Listen("unix", a.socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: a}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.bodies = append(a.bodies, r.Method+" "+r.URL.String()+" "+string(body))
	a.keys = append(a.keys, r.Header.Get("Key"))
	a.answer(w, r)
}

func (a *api) client() *Client {
	return NewClient(a.socket, "c1", func() (string, error) { return "secret", nil })
}

// replies answers with a status and a text.
func replies(status int, text string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

// dies ends the connection in the middle of an answer.
func dies(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	io.WriteString(w, `{"farms":[{"name":"web"`)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// slow answers after the client has lost its patience.
func slow(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(10 * time.Second):
	}
}

const webList = `{"farms":[{"name":"web","hosts":{"app.internal":["10.0.0.11","10.0.0.12"]},"faults":[],
	"farm":{"listen":"192.0.2.10:80","health":{"type":"tcp"},"backends":{"b1":{"address":"10.0.0.1"},
	"app":{"address":"app.internal"}}},"sources":["/run/web.toml.d/zz-farmc.health-b1.toml"]}]}`

// Each failure of farmc watch is an error that says why, to a question about farms and to a word.
func TestFailuresOfTheAPI(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		"401":      {replies(401, `{"error":"no key"}`), "401: no key: the checker needs a key of role health"},
		"403":      {replies(403, `{}`), "403: Forbidden: the checker needs a key of role health"},
		"503":      {replies(503, `{"error":"busy"}`), "the API answers 503: busy"},
		"controls": {replies(500, `{"error":"a\u001b[2Jb"}`), `the API answers 500: a`},
		"dies":     {dies, "unexpected EOF"},
		"slow":     {slow, "deadline exceeded"},
		"no JSON":  {replies(200, "<html>"), "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newAPI(t, tt.answer).client()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, farms := c.Checks(ctx)
			_, words := c.Say(ctx, []Word{{Name: Name{"web", "b1"}, For: time.Minute}})
			for _, err := range []error{farms, words} {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\x1b") {
					t.Errorf("the error is %v, want %s", err, tt.want)
				}
			}
		})
	}
	gone := NewClient(filepath.Join(t.TempDir(), "none"), "c1", func() (string, error) { return "", nil })
	if _, err := gone.Checks(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without a socket the error is %v", err)
	}
	unreadable := NewClient("none", "c1", func() (string, error) { return "", errors.New("no key") })
	if _, err := unreadable.Checks(t.Context()); err == nil || err.Error() != "no key" {
		t.Errorf("without a key the error is %v", err)
	}
}

// After a failure the client has the checks of the last list, and asks with its tag.
func TestClientAfterFailures(t *testing.T) {
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, webList)
	})
	c, good := a.client(), a.answer
	checks, err := c.Checks(t.Context())
	if err != nil || len(checks) != 3 {
		t.Fatalf("%d checks, %v", len(checks), err)
	}
	a.answer = dies
	if _, err := c.Checks(t.Context()); err == nil || errors.Is(err, ErrSame) {
		t.Errorf("a server that dies: %v", err)
	}
	a.answer = good
	if _, err := c.Checks(t.Context()); !errors.Is(err, ErrSame) {
		t.Errorf("after the failure: %v", err)
	}
	if a.keys[0] != "secret" {
		t.Errorf("the key is %q", a.keys[0])
	}
}

// The addresses of a hostname have checks, and other addresses are other checks. The API is asked for words about
// backends with a drop-in alone.
func TestChecksOfHostnames(t *testing.T) {
	list := webList
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, list) })
	c := a.client()
	names := func() (out map[string]bool) {
		checks, err := c.Checks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out = map[string]bool{}
		for _, check := range checks {
			out[check.Backend] = true
		}
		return out
	}
	if got := names(); !got["app@10.0.0.11"] || !got["app@10.0.0.12"] || !got["b1"] || !c.asks[Name{"web", "b1"}] ||
		c.asks[Name{"web", "app@10.0.0.11"}] {
		t.Errorf("the checks are %v, and these are asked for: %v", got, c.asks)
	}
	list = strings.Replace(webList, "10.0.0.12", "10.0.0.13", 1)
	if got := names(); len(got) != 3 || !got["app@10.0.0.13"] {
		t.Errorf("after another answer the checks are %v", got)
	}
}

// A word has the form of the API. The words that are not in force come back with their reasons.
func TestSayWords(t *testing.T) {
	a := newAPI(t, replies(409, `{"faults":[{"farm":"web","key":"backends.app@10.0.0.11","message":"gone\u0007"}]}`))
	refused, err := a.client().Say(t.Context(), []Word{
		{Name: Name{"web", "b1"}, Healthy: true, Percent: 50, Reason: strings.Repeat("r", 300), For: time.Minute,
			Took: 12 * time.Millisecond, Next: 2 * time.Second, Late: 3 * time.Millisecond, Flaps: true},
		{Name: Name{"web", "app@10.0.0.11"}, For: time.Minute},
		{Name: Name{"web", "b 2"}, Withdrawn: true},
	})
	if err != nil || len(refused) != 1 || refused[1] == nil || strings.Contains(refused[1].Error(), "\a") {
		t.Errorf("refused are %v, %v", refused, err)
	}
	want := []string{"DELETE /v1/farms/web/backends/b%202/health?by=c1 ", `"farm":"web","backend":"b1","by":"c1",` +
		`"healthy":true,"weight":50,"reason":"` + strings.Repeat("r", 200) + `","for":"1m","took":"12ms","next":"2s",` +
		`"late":"3ms","flaps":true}`}
	for i, body := range want {
		if !strings.Contains(a.bodies[i], body) {
			t.Errorf("request %d is %s, want %s", i, a.bodies[i], body)
		}
	}
}

package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// waited returns how long a request of a client waits.
func (t *throttle) waited(client string) (time.Duration, error) {
	began := time.Now()
	err := t.wait(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), client)
	return time.Since(began), err
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newThrottle()
		const each = 1 << 20
		for range refusedBurst / each {
			if waited, _ := limit.waited("attacker"); waited > 0 {
				t.Fatalf("a request waited %v", waited)
			}
			limit.refused("attacker", each)
		}
		var waited time.Duration
		for range 20 {
			one, err := limit.waited("attacker")
			if err != nil {
				t.Fatal(err)
			}
			waited += one
			limit.refused("attacker", each)
		}
		if want := 19 * time.Second * each / refusedRate; waited.Round(time.Millisecond) != want {
			t.Errorf("20 requests waited %v, want %v", waited, want)
		}
		if waited, err := limit.waited("other"); waited > 0 || err != nil {
			t.Errorf("another client waits %v, %v", waited, err)
		}
		for range 6 {
			limit.refused("attacker", refusedRate)
		}
		_, err := limit.waited("attacker")
		if p := (problem{}); !errors.As(err, &p) || p.status != http.StatusTooManyRequests {
			t.Errorf("a wait of more than %v: %v", maxDelay, err)
		}
		time.Sleep(10 * time.Second)
		if waited, err := limit.waited("attacker"); waited > 0 || err != nil {
			t.Errorf("later, a request waits %v, %v", waited, err)
		}
	})
}

// Requests without a body count as well.
func TestThrottleOfSmallRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newThrottle()
		began := time.Now()
		for range (refusedBurst + refusedRate) / leastRefused {
			_, _ = limit.waited("attacker")
			limit.refused("attacker", 0)
		}
		if took := time.Since(began).Round(10 * time.Millisecond); took != time.Second {
			t.Errorf("the requests took %v", took)
		}
	})
}

func TestThrottleForgetsClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newThrottle()
		for i := range 3 * maxClients {
			limit.refused(fmt.Sprint("client ", i), refusedBurst)
			limit.refused(fmt.Sprint("client ", i), refusedBurst)
		}
		if n := len(limit.clients); n > maxClients {
			t.Errorf("%d clients in memory", n)
		}
	})
}

// Refused requests delay the key that sends them, and nobody else.
func TestRefusedRequests(t *testing.T) {
	s := start(t, siteFiles)
	ask := func(key, body string) exchange {
		return s.do(t, exchange{key: key, method: "POST", path: "/v1/check", body: body})
	}
	const client = "key reader"
	if x := ask("reader", `{"farms": {}}`); x.status != 200 || s.throttle.clients[client] != nil {
		t.Errorf("a right document: %d %s, counted: %v", x.status, x.answer, s.throttle.clients[client] != nil)
	}
	if x := ask("reader", `{"farms": `); x.status != 400 || s.throttle.clients[client] == nil {
		t.Errorf("half a document: %d %s, counted: %v", x.status, x.answer, s.throttle.clients[client] != nil)
	}
	for range 4 { // 12 seconds
		s.throttle.refused(client, refusedBurst)
	}
	if x := ask("reader", `{"farms": {}}`); x.status != http.StatusTooManyRequests || x.got.Get("Retry-After") == "" {
		t.Errorf("after many refused bytes: %d %q %s", x.status, x.got.Get("Retry-After"), x.answer)
	}
	if x := ask("writer", `{"farms": {}}`); x.status != 200 {
		t.Errorf("another key: %d %s", x.status, x.answer)
	}
	if x := s.do(t, exchange{key: "reader", path: healthPath}); x.status != 200 {
		t.Errorf("the liveness: %d %s", x.status, x.answer)
	}
}

// The bytes of a body count, as far as they are read.
func TestCountedBody(t *testing.T) {
	s := start(t, siteFiles)
	const client, size = "key writer", 8 << 20
	x := s.do(t, exchange{key: "writer", method: "POST", path: "/v1/check", body: strings.Repeat("x", size)})
	used := float64(refusedBurst) - s.throttle.clients[client].TokensAt(time.Now().Add(-time.Second))
	if x.status != 400 || used < size {
		t.Errorf("%d: %.0f bytes counted, want %d", x.status, used, size)
	}
}

package api

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"farmc/cmd/internal/pause"
)

// attempts slows and logs requests without a valid key.
type attempts struct {
	missing steadyLog     // requests without a key
	wrong   steadyLog     // requests with a wrong key
	pause   time.Duration // before the answer to a wrong key
}

// slow logs the request, and waits if it has a wrong key. A connection has one request at a time, and the number of
// connections of a peer is limited, so the wait limits the rate of guesses. Other requests are not delayed.
func (a *attempts) slow(r *http.Request) {
	if _, guessed := secretOf(r.Header); !guessed {
		a.missing.printf("API: a request without a key from %s", peerOf(r))
		return
	}
	a.guessed(r)
}

// guessed logs a request with a wrong key, and waits.
func (a *attempts) guessed(r *http.Request) {
	a.wrong.printf("API: a request with a wrong key from %s", peerOf(r))
	pause.For(r.Context(), a.pause)
}

// peerOf names the client of a request for the log: its address, or its user on a unix socket.
func peerOf(r *http.Request) string {
	if c := connOf(r.Context()); c != nil {
		return c.peer
	}
	return r.RemoteAddr
}

// logPause is the least time between two lines of a steadyLog.
const logPause = 10 * time.Second

// A steadyLog logs at a bounded rate. A line tells how many lines were left out before it.
type steadyLog struct {
	log func(format string, args ...any)

	mu      sync.Mutex
	next    time.Time
	leftOut int
}

func (l *steadyLog) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Before(l.next) {
		l.leftOut++
		return
	}
	if l.leftOut > 0 {
		format += " (%d more before)"
		args = append(args, l.leftOut)
	}
	l.next, l.leftOut = now.Add(logPause), 0
	l.log(format, args...)
}

// Write logs a line of net/http, such as a failed TLS handshake.
func (l *steadyLog) Write(line []byte) (int, error) {
	l.printf("API: %s", strings.TrimPrefix(strings.TrimSpace(string(line)), "http: "))
	return len(line), nil
}

package api

import (
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"farmc/cmd/internal/pause"

	"golang.org/x/time/rate"
)

// A throttle bounds the work on requests that are refused, so that a client with a key cannot keep the processors from
// loads. Each client may send a number of bytes per second in such requests; beyond, its next requests wait, whatever
// they ask. Requests that succeed count nothing.
type throttle struct {
	mu      sync.Mutex
	clients map[string]*rate.Limiter // by name of the key, or by peer without one
}

// Limits of a throttle.
const (
	refusedRate  = 4 << 20  // bytes per second of the requests of a client that are refused
	refusedBurst = 16 << 20 // bytes before the first request waits
	leastRefused = 16 << 10 // bytes that a refused request counts at least, for its connection and head

	maxDelay   = 5 * time.Second // of a request; one that had to wait for longer is refused at once
	maxClients = 1000            // in memory; a client that has nothing to wait for is forgotten then
)

func newThrottle() throttle { return throttle{clients: map[string]*rate.Limiter{}} }

// wait delays a request until its client may send one. It refuses the request if that takes too long. Questions whether
// the server lives do not wait: probes may come from the address of such a client.
func (t *throttle) wait(w http.ResponseWriter, r *http.Request, client string) error {
	if r.URL.Path == healthPath {
		return nil
	}
	delay := t.delay(client)
	if delay > maxDelay {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(delay.Seconds()))))
		return problem{status: http.StatusTooManyRequests, message: "too many requests of this client were refused"}
	}
	if delay == 0 {
		return nil
	}
	pause.For(r.Context(), delay)
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(sendTime)) // the body comes after the wait
	return nil
}

// delay returns how long a client has to wait.
func (t *throttle) delay(client string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, known := t.clients[client]
	if !known {
		return 0
	}
	return l.ReserveN(time.Now(), 0).Delay()
}

// refused counts a request that was refused, and whose body had so many bytes, as far as it was read.
func (t *throttle) refused(client string, body int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, known := t.clients[client]
	if !known {
		if len(t.clients) >= maxClients {
			t.forget()
		}
		l = rate.NewLimiter(refusedRate, refusedBurst)
		t.clients[client] = l
	}
	l.ReserveN(time.Now(), min(max(body, leastRefused), refusedBurst))
}

// forget forgets the clients that have nothing to wait for, or all if each has.
func (t *throttle) forget() {
	now := time.Now()
	for client, l := range t.clients {
		if l.TokensAt(now) >= 0 {
			delete(t.clients, client)
		}
	}
	if len(t.clients) >= maxClients {
		clear(t.clients)
	}
}

// isRefusal reports whether a status says that the request itself is wrong. Others, such as a failed condition, are
// answers that programs expect.
func isRefusal(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return true
	}
	return false
}

// A statusWriter keeps the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader begins the answer.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the writer below, for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A countedBody counts the bytes that are read.
type countedBody struct {
	io.ReadCloser
	read int
}

// Read reads bytes, and counts them.
func (b *countedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.read += n
	return n, err
}

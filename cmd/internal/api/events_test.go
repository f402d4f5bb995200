package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/event"
)

// startEvents is start with a stream that keeps three events.
func startEvents(t *testing.T) *site {
	t.Helper()
	s := newSite(t, siteFiles)
	s.behind.Events = event.NewStream(3)
	s.heartbeat, s.behind.heartbeat = 50*time.Millisecond, 50*time.Millisecond
	s.address = s.serve(t, listen(t))
	return s
}

// A follower reads a stream of events.
type follower struct {
	net.Conn
	in *bufio.Reader
}

// follow asks for the events from a loopback address, and waits for the first bytes of the answer.
func (s *site) follow(t *testing.T, from, key, more string) *follower {
	t.Helper()
	f := &follower{Conn: s.dial(t, from)}
	t.Cleanup(func() { f.Close() })
	_ = f.SetDeadline(time.Now().Add(time.Minute))
	f.in = bufio.NewReader(f)
	_, _ = fmt.Fprintf(f, "GET /v1/events HTTP/1.1\r\nHost: farmc\r\nKey: %s\r\n%s\r\n", s.secret[key], more)
	a, err := http.ReadResponse(f.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %s", a.Status, a.Header.Get("Content-Type"))
	}
	f.in = bufio.NewReader(a.Body)
	if more != "" { // older events come first
		return f
	}
	if got := f.block(t); got != ":\n" {
		t.Fatalf("the stream begins with %q", got)
	}
	return f
}

// block reads the lines up to an empty one.
func (f *follower) block(t *testing.T) (text string) {
	t.Helper()
	for {
		line, err := f.in.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ends after %q: %v", text, err)
		}
		if line == "\n" {
			return text
		}
		text += line
	}
}

// next reads an event, without heartbeats before it.
func (f *follower) next(t *testing.T) (id, rest string) {
	t.Helper()
	for {
		text := f.block(t)
		if text == ":\n" {
			continue
		}
		if after, ok := strings.CutPrefix(text, "id: "); ok {
			id, text, _ = strings.Cut(after, "\n")
		}
		return id, text
	}
}

func TestEvents(t *testing.T) {
	s := startEvents(t)
	s.behind.Events.Publish(event.Load, "before")
	f := s.follow(t, "127.0.0.1", "reader", "")
	s.behind.Events.Publish(event.Load, map[string]string{"text": "a\nb\u2028"})
	first, got := f.next(t)
	if first == "" || got != "event: load\ndata: {\"text\":\"a\\nb\\u2028\"}\n" {
		t.Errorf("the event is %q, id %q", got, first)
	}
	if got := f.block(t); got != ":\n" {
		t.Errorf("in place of a heartbeat there is %q", got)
	}
	for i := range 2 {
		s.behind.Events.Publish(event.Ban, i)
	}
	f = s.follow(t, "127.0.0.1", "reader", "Last-Event-ID: "+first+"\r\n")
	second, got := f.next(t)
	if got != "event: ban\ndata: 0\n" || second == first {
		t.Errorf("after %s: %q, id %s", first, got, second)
	}
	for i := range 3 {
		s.behind.Events.Publish(event.Ban, i)
	}
	f = s.follow(t, "127.0.0.1", "reader", "Last-Event-ID: "+first+"\r\n")
	if id, got := f.next(t); id != "" || got != "event: lost\ndata: {\"events\":2}\n" {
		t.Errorf("a reader that missed events gets %q, id %q", got, id)
	}
}

// A stream goes on beyond the time in which a request must be sent.
func TestEventsOutlastTheRequest(t *testing.T) {
	s := newSite(t, siteFiles)
	s.behind.Events = event.NewStream(3)
	s.heartbeat, s.behind.heartbeat = time.Minute, time.Minute
	s.serving.ReadTimeout, s.serving.WriteTimeout = 200*time.Millisecond, 300*time.Millisecond
	s.address = s.serve(t, listen(t))
	f := s.follow(t, "127.0.0.1", "reader", "")
	time.Sleep(500 * time.Millisecond)
	s.behind.Events.Publish(event.Load, 1)
	if _, got := f.next(t); got != "event: load\ndata: 1\n" {
		t.Errorf("the event is %q", got)
	}
}

func TestEventsNeedTheirKey(t *testing.T) {
	s := startEvents(t)
	if x := s.do(t, exchange{key: "checker", path: "/v1/events"}); x.status != 403 {
		t.Errorf("with the key of a checker: %d", x.status)
	}
	f := s.follow(t, "127.0.0.1", "reader", "")
	if err := os.WriteFile(s.keys, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, f.in); err != nil {
		t.Errorf("the stream of a deleted key ends with %v", err)
	}
}

func TestEventsEndWithTheServer(t *testing.T) {
	s := newSite(t, siteFiles)
	s.behind.Events = event.NewStream(3)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	l := listen(t)
	s.address = l.Addr().String()
	go func() {
		s.Serve(ctx, l)
		close(ended)
	}()
	f := s.follow(t, "127.0.0.1", "reader", "")
	began := time.Now()
	stop()
	<-ended
	if took := time.Since(began); took > 900*time.Millisecond {
		t.Errorf("the end took %s", took)
	}
	if _, err := io.Copy(io.Discard, f.in); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
}

// Streams have slots of their own: 100 of them leave room for requests, and the client with the most loses one.
func TestEventSlots(t *testing.T) {
	s := startEvents(t)
	var greedy []*follower
	for range maxStreams {
		greedy = append(greedy, s.follow(t, "127.0.0.2", "reader", ""))
	}
	for range maxConnections {
		defer s.dial(t, "127.0.0.3").Close()
	}
	one := s.dial(t, "127.0.0.2")
	defer one.Close()
	_, _ = fmt.Fprintf(one, "GET /v1/events HTTP/1.1\r\nHost: x\r\nKey: %s\r\n\r\n", s.secret["reader"])
	if a, err := http.ReadResponse(bufio.NewReader(one), nil); err != nil || a.StatusCode != 503 {
		t.Errorf("a stream too many of the same client: %v %v", a, err)
	}
	other := s.follow(t, "127.0.0.4", "reader", "")
	s.behind.Events.Publish(event.Load, 1)
	if _, got := other.next(t); got != "event: load\ndata: 1\n" {
		t.Errorf("the other client gets %q", got)
	}
	if _, err := io.Copy(io.Discard, greedy[0].in); err == nil {
		t.Error("the oldest stream of the greedy client ends without an error")
	}
	if _, got := greedy[1].next(t); got != "event: load\ndata: 1\n" {
		t.Errorf("the second stream of the greedy client gets %q", got)
	}
	for _, f := range append(greedy, other) {
		f.Close()
	}
	until(t, func() bool {
		s.conns.streams.mu.Lock()
		defer s.conns.streams.mu.Unlock()
		return len(s.conns.streams.conns) == 0
	})
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the condition does not hold after 10 s")
		}
	}
}

// A client that reads nothing loses its connection; publishing never waits for it.
func TestSlowFollower(t *testing.T) {
	s := startEvents(t)
	s.behind.streamWrite = 300 * time.Millisecond
	f := s.follow(t, "127.0.0.1", "reader", "")
	began := time.Now()
	for range 20 {
		s.behind.Events.Publish(event.Load, strings.Repeat("x", 1<<20))
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("to publish took %s", took)
	}
	until(t, func() bool {
		s.conns.streams.mu.Lock()
		defer s.conns.streams.mu.Unlock()
		return len(s.conns.streams.conns) == 0
	})
	if _, err := io.Copy(io.Discard, f.in); err == nil {
		t.Error("the stream of the slow client ends without an error")
	}
}

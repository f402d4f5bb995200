package api

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
)

// drainingFarms are farms with a backend that has open connections until they end.
type drainingFarms struct {
	Farms
	mu   sync.Mutex
	open int
}

func (d *drainingFarms) BackendNow(context.Context, string, string) (live.BackendNow, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	open := d.open
	return live.BackendNow{State: farm.Drain, Open: &open}, nil
}

const drainedPath = "/v1/farms/web/backends/b1/state?wait=drained&timeout="

// Requests that wait take none of the connections of other requests, and have a limit of their own. They last longer
// than the time to send a request, and to read an answer.
func TestWaitingRequests(t *testing.T) {
	s := newSite(t, siteFiles)
	d := &drainingFarms{Farms: s.Farms, open: 3}
	s.Farms = d
	s.serving.ReadTimeout, s.serving.WriteTimeout = time.Second, time.Second
	s.address = s.serve(t, listen(t))
	answers := make(chan int, maxStreams)
	var asked sync.WaitGroup
	for range maxStreams {
		asked.Add(1)
		go func() {
			asked.Done()
			status := 0
			defer func() { answers <- status }() // also after a Fatal
			status = s.do(t, exchange{key: "reader", path: drainedPath + "1m"}).status
		}()
	}
	asked.Wait()
	deadline := time.Now().Add(20 * time.Second)
	for s.parked() < maxStreams && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := s.parked(); n != maxStreams {
		t.Fatalf("%d requests wait, want %d", n, maxStreams)
	}
	if x := s.do(t, exchange{key: "reader", path: drainedPath + "1s"}); x.status != http.StatusServiceUnavailable {
		t.Errorf("one request more waits: %d", x.status)
	}
	if x := s.do(t, exchange{key: "reader", path: "/v1/farms"}); x.status != 200 {
		t.Errorf("another request: %d", x.status)
	}
	time.Sleep(1500 * time.Millisecond) // longer than ReadTimeout and WriteTimeout
	d.mu.Lock()
	d.open = 0
	d.mu.Unlock()
	for range maxStreams {
		if status := <-answers; status != 200 {
			t.Fatalf("a request that waited: %d", status)
		}
	}
}

func (s *site) parked() int {
	s.conns.streams.mu.Lock()
	defer s.conns.streams.mu.Unlock()
	return len(s.conns.streams.conns)
}

func TestWaitEnds(t *testing.T) {
	s := newSite(t, siteFiles)
	s.Farms = &drainingFarms{Farms: s.Farms, open: 3}
	s.address = s.serve(t, listen(t))
	for _, tt := range []struct {
		timeout string
		want    int
	}{{"10ms", http.StatusGatewayTimeout}, {"11m", 400}, {"x", 400}, {"", 400}} {
		x := s.do(t, exchange{key: "reader", path: drainedPath + tt.timeout})
		if x.status != tt.want {
			t.Errorf("timeout=%s: %d %s, want %d", tt.timeout, x.status, x.answer, tt.want)
		}
	}
}

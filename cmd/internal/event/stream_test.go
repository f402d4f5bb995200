package event

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// words writes events as "kind data".
func words(events []Event) string {
	var out []string
	for _, e := range events {
		out = append(out, string(e.Kind)+" "+string(e.Data))
	}
	return strings.Join(out, ", ")
}

func taken(c *Cursor) string {
	events, _ := c.Take()
	return words(events)
}

func TestFollow(t *testing.T) {
	s := NewStream(3)
	s.Publish(Load, 1)
	c := s.Follow()
	if got := taken(c); got != "" {
		t.Errorf("a new reader gets %s", got)
	}
	_, more := c.Take()
	s.Publish(Load, 2)
	s.Publish(Ban, "x\ny")
	<-more
	if got := taken(c); got != `load 2, ban "x\ny"` {
		t.Errorf("the reader gets %s", got)
	}
	if got := taken(c); got != "" {
		t.Errorf("the reader gets again %s", got)
	}
}

func TestResume(t *testing.T) {
	s := NewStream(3)
	c := s.Follow()
	for i := range 3 {
		s.Publish(Load, i)
	}
	events, _ := c.Take()
	if got := taken(s.After(events[0].ID)); got != "load 1, load 2" {
		t.Errorf("after the first: %s", got)
	}
	if got := taken(s.After(events[2].ID)); got != "" {
		t.Errorf("after the last: %s", got)
	}
	s.Publish(Load, 3)
	s.Publish(Load, 4)
	if got := taken(s.After(events[0].ID)); got != `lost {"events":1}, load 2, load 3, load 4` {
		t.Errorf("after one that left the ring: %s", got)
	}
	if got := taken(c); got != "load 3, load 4" {
		t.Errorf("the cursor that has three: %s", got)
	}
}

func TestResumeAfterUnknown(t *testing.T) {
	s := NewStream(3)
	s.Publish(Load, 1)
	own := s.events[0].ID
	for _, id := range []string{"", "x", "x-1", strings.TrimSuffix(own, "1") + "9", own + "x", "-1", own + "-1"} {
		c := s.After(id)
		if got := taken(c); got != `lost {"events":null}, load 1` {
			t.Errorf("after %q: %s", id, got)
		}
		if got := taken(c); got != "" {
			t.Errorf("after %q, later: %s", id, got)
		}
	}
}

func TestBytesAreBounded(t *testing.T) {
	s := NewStream(1000)
	for range 40 {
		s.Publish(Load, strings.Repeat("x", maxBytes/10))
	}
	if n := len(s.events); n < 5 || n > 10 || s.bytes > maxBytes {
		t.Errorf("the stream has %d events of %d bytes", n, s.bytes)
	}
}

// A reader that takes nothing loses events, and no publisher waits for it.
func TestSlowReader(t *testing.T) {
	s := NewStream(10)
	c := s.Follow()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 1000 {
				s.Publish(Load, i)
			}
		})
	}
	all.Wait()
	events, _ := c.Take()
	if got := words(events[:1]); got != `lost {"events":3990}` || len(events) != 11 {
		t.Errorf("the reader gets %s and %d more", got, len(events)-1)
	}
	if _, last, _ := strings.Cut(events[10].ID, "-"); last != fmt.Sprint(4000) {
		t.Errorf("the last ID is %s", events[10].ID)
	}
}

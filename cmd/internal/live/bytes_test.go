package live

import (
	"fmt"
	"testing"
)

// A reading has the bytes of connections so far, by their number. It is of the backends of farm web: b1, or b1 and b2.
type reading struct {
	b1, b2 map[uint64]uint64
	want   string
}

func TestByteMeter(t *testing.T) {
	type conns = map[uint64]uint64
	for rule, readings := range map[string][]reading{
		"connections count from the second reading on": {
			{b1: conns{1: 500}, want: "0"}, {b1: conns{1: 700}, want: "200"}, {b1: conns{1: 700}, want: "200"}},
		"a connection that begins counts as a whole": {
			{b1: conns{}, want: "0"}, {b1: conns{1: 700}, want: "700"}, {b1: conns{1: 800, 2: 50}, want: "850"}},
		"connections that end stay in the sum": {
			{b1: conns{}, want: "0"}, {b1: conns{1: 700}, want: "700"}, {b1: conns{}, want: "700"},
			{b1: conns{2: 1}, want: "701"}},
		"a connection that one reading lacks does not count again": {
			{b1: conns{1: 500}, want: "0"}, {b1: conns{}, want: "0"}, {b1: conns{1: 510}, want: "10"}},
		"a connection that two readings lack is another one": {
			{b1: conns{1: 500}, want: "0"}, {b1: conns{}, want: "0"}, {b1: conns{}, want: "0"},
			{b1: conns{1: 510}, want: "510"}},
		"fewer bytes are those of another connection": {
			{b1: conns{1: 500}, want: "0"}, {b1: conns{1: 20}, want: "20"}},
		"connections of a new backend count from the next reading on": {
			{b1: conns{}, want: "0"}, {b1: conns{}, b2: conns{7: 9000}, want: "0 0"},
			{b1: conns{}, b2: conns{7: 9001}, want: "0 1"}},
		"the sum of a backend that leaves is forgotten": {
			{b1: conns{}, b2: conns{}, want: "0 0"}, {b1: conns{}, b2: conns{7: 5}, want: "0 5"},
			{b1: conns{}, want: "0"}, {b1: conns{}, b2: conns{}, want: "0 0"}},
	} {
		m := newByteMeter()
		for i, r := range readings {
			if got := r.take(m); got != r.want {
				t.Errorf("%s: reading %d has the sums %s, want %s", rule, i, got, r.want)
			}
		}
	}
}

func (r reading) take(m *byteMeter) (sums string) {
	b1, b2 := backendName{"web", "b1"}, backendName{"web", "b2"}
	backends := map[backendName]*int{b1: new(int)}
	if r.b2 != nil {
		backends[b2] = new(int)
	}
	for id, n := range r.b1 {
		m.add(b1, id, n)
	}
	for id, n := range r.b2 {
		m.add(b2, id, n)
	}
	m.end(backends)
	sums = fmt.Sprint(m.totals[b1])
	if r.b2 != nil {
		sums += fmt.Sprint(" ", m.totals[b2])
	}
	return sums
}

// The memory of a meter is bounded. Above the bound the bytes are not known.
func TestByteMeterIsBounded(t *testing.T) {
	m, of := newByteMeter(), backendName{"web", "b1"}
	for id := range uint64(maxFollowed) {
		m.add(of, id, 1)
	}
	if m.overfull {
		t.Error("the meter is full below its bound")
	}
	m.add(of, maxFollowed, 1)
	if !m.overfull || len(m.seen) != maxFollowed {
		t.Errorf("%d connections are followed, full: %t", len(m.seen), m.overfull)
	}
	s := Measures{}
	s.Farms = []FarmStatus{{Name: "web", Backends: []BackendStatus{{Name: "b1", Open: new(int)}}}}
	if s.setBytes(m); s.NoBytes == "" || s.Farms[0].Backends[0].Bytes != nil {
		t.Errorf("with too many connections: %q, %+v", s.NoBytes, s.Farms[0].Backends[0])
	}
}

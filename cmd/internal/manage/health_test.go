package manage

import (
	"testing"
	"time"

	"farmc/cmd/internal/health"
	"farmc/compiler/farm"
)

// A load is refused if a backend serves more than its verdict says.
func TestObeys(t *testing.T) {
	down, drained := health.Verdict{Down: true}, health.Verdict{}
	half := health.Verdict{Healthy: true, Percent: 50, Base: 100}
	whole := health.NewRecord().Verdict
	for _, tt := range []struct {
		state   farm.State
		percent int
		verdict health.Verdict
		off     bool
		want    bool
	}{
		{farm.Down, 0, down, false, true},
		{farm.Drain, 0, down, false, false},
		{farm.Up, 0, down, false, false},
		{farm.Drain, 0, drained, false, true},
		{farm.Down, 0, drained, false, true},
		{farm.Up, 50, drained, false, false},
		{farm.Up, 50, half, false, true},
		{farm.Up, 60, half, false, false},
		{farm.Up, 0, half, false, false}, // all of its weight
		{farm.Drain, 0, half, true, true},
		{farm.Up, 0, health.Verdict{Percent: 100, Base: 100, Panic: true}, false, true},
		{farm.Up, 30, whole, false, true},
	} {
		if got := obeys(farm.Backend{State: tt.state, Percent: tt.percent}, tt.verdict, tt.off); got != tt.want {
			t.Errorf("state %s, %d percent, verdict %+v, off %t: %t", tt.state, tt.percent, tt.verdict, tt.off, got)
		}
	}
}

// A pause of the process counts for no word, and delays no judgement beyond it.
func TestPauseOfTheProcess(t *testing.T) {
	now := time.Now()
	before := []health.Word{{By: "a", For: time.Minute, Said: now}}
	m := &memory{farms: map[string]*farmHealth{"web": {next: now.Add(time.Minute),
		records: records{"b1": {Words: before}}}}}
	m.excuse(time.Hour)
	f := m.farms["web"]
	if said := f.records.of("b1").Words[0].Said; !said.Equal(now.Add(time.Hour)) {
		t.Errorf("the word was said %s after it was", said.Sub(now))
	}
	if !before[0].Said.Equal(now) {
		t.Error("words that a reader has are changed")
	}
	if !f.next.Equal(now.Add(time.Hour + time.Minute)) {
		t.Errorf("the next judgement is in %s", f.next.Sub(now))
	}
}

// Verdicts that could not be loaded are tried again after a pause. The words of a client are its own to repeat.
func TestJudgementIsTriedAgain(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		sayings []Saying
		writing int
		want    time.Time
	}{
		"time": {nil, 1, now.Add(retryPause)},
		"word": {[]Saying{{}, {}}, 2, now},
	} {
		f := &farmHealth{writing: tt.writing + 1, next: now}
		words := &farmWords{memory: &memory{farms: map[string]*farmHealth{"web": f}}, farm: "web", now: now,
			sayings: tt.sayings}
		if words.end(false); !f.next.Equal(tt.want) || f.writing != 1 {
			t.Errorf("%s: the next judgement is in %s, %d writes are on their way", name, f.next.Sub(now), f.writing)
		}
	}
}

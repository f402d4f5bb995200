package checker

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDelays(t *testing.T) {
	var d Delays
	for i := range 99 {
		d.add(time.Duration(i) * time.Microsecond)
	}
	d.add(time.Second)
	if starts, within := d.Take(0.99); starts != 100 || within < 98*time.Microsecond || within > 130*time.Microsecond {
		t.Errorf("%d starts, 99%% within %s", starts, within)
	}
	d.add(time.Second)
	if starts, within := d.Take(0.99); starts != 1 || within < time.Second || within > 1250*time.Millisecond {
		t.Errorf("%d starts, 99%% within %s", starts, within)
	}
	for us := range 100_000 {
		late := time.Duration(us) * time.Microsecond
		if c := class(late); upper(c) <= late || c > 0 && upper(c-1) > late {
			t.Fatalf("%s is in class %d, up to %s", late, c, upper(c))
		}
	}
}

// After a standstill checks start at twice the usual rate.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace{}
		p.set(10_000)
		started := 0
		for began := time.Now(); time.Since(began) < time.Second; {
			if pause := p.take(time.Now()); pause > 0 {
				time.Sleep(pause)
			} else {
				started++
			}
		}
		if started < 19_000 || started > 21_500 {
			t.Errorf("%d starts in a second", started)
		}
	})
}

// The jitter makes an interval shorter, by its part at most.
func TestJitter(t *testing.T) {
	now := time.Now()
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		x := &target{Check: Check{Timing: Timing{Interval: time.Second, Jitter: 0.25}}, judge: judge{sure: true},
			began: now}
		pause := x.next(now).Sub(now)
		least, most = min(least, pause), max(most, pause)
	}
	if least < 750*time.Millisecond || least > 800*time.Millisecond ||
		most < 950*time.Millisecond || most > time.Second {
		t.Errorf("the pauses have %s to %s", least, most)
	}
}

// A word that could not be said does not replace a newer one, nor does one that was refused.
func TestNewerWordsStay(t *testing.T) {
	s := newSpeaker(nil, t.Logf)
	n := Name{"web", "b1"}
	older, newer := Word{Name: n, Reason: "older"}, Word{Name: n, Reason: "newer"}
	s.say(older)
	said := s.take()
	s.say(newer)
	s.note(said, nil, errAway, 0)
	if s.pending[n] != newer {
		t.Errorf("after a failure the word is %+v", s.pending[n])
	}
	s.take()
	if s.sayAgain(said); len(s.pending) > 0 {
		t.Errorf("a word that was refused is said again: %+v", s.pending[n])
	}
}

// A backend that is gone while it waits for a slot is not checked.
func TestSlotsOfGoneBackends(t *testing.T) {
	s := newSlots(1)
	first, gone, last := &target{}, &target{}, &target{}
	for i, x := range []*target{first, gone, last} {
		if entered := s.enter(x); entered != (i == 0) {
			t.Fatalf("target %d has a slot: %t", i, entered)
		}
	}
	gone.gone = true
	if next := s.leave(first); len(next) != 1 || next[0] != last || s.running != 1 {
		t.Errorf("%d targets follow, %d run", len(next), s.running)
	}
}

// A word has the longest delay of the checks since the word before.
func TestDelayOfWords(t *testing.T) {
	c := &Checker{Log: t.Logf}
	c.prepare()
	x := newTarget(Check{Timing: Timing{Interval: time.Second, Rise: 1, Fall: 1}}, Verdict{})
	end := func(late time.Duration, healthy bool) {
		x.gone = false
		c.slots[Network].enter(x)
		c.finish(t.Context(), result{x, Result{Healthy: healthy, Percent: 100}, 0, late})
	}
	end(time.Millisecond, true)
	first := c.speaker.known[x.Name].Late
	end(30*time.Millisecond, true)
	end(2*time.Millisecond, true)
	end(3*time.Millisecond, false)
	second := c.speaker.known[x.Name].Late
	end(4*time.Millisecond, true)
	if third := c.speaker.known[x.Name].Late; first != time.Millisecond || second != 30*time.Millisecond ||
		third != 4*time.Millisecond {
		t.Errorf("the words have the delays %s, %s and %s", first, second, third)
	}
}

// A check gives back the slot that it took, also if it turned out slower or quicker than the one before.
func TestSlotsAfterAnotherPace(t *testing.T) {
	c := &Checker{Log: t.Logf}
	c.prepare()
	timing := Timing{Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}
	x, s := newTarget(Check{Timing: timing}, Verdict{}), c.slots[Network]
	for _, took := range []time.Duration{0, time.Second, time.Second, 0} {
		s.enter(x)
		c.finish(t.Context(), result{x, Result{Healthy: true, Took: took}, 0, 0})
		if s.running != 0 || s.slow != 0 || x.isSlow != (took > 0) {
			t.Errorf("after a check of %s: %d run, %d of them slow; the next one is slow: %t", took, s.running, s.slow,
				x.isSlow)
		}
	}
}

func TestHold(t *testing.T) {
	var d damping
	now := time.Now()
	for i, want := range []time.Duration{0, 0, 0, 10 * time.Second, 20 * time.Second, 40 * time.Second,
		80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute} {
		if got := d.fell(now); got != want {
			t.Errorf("failure %d: out for %s, want %s", i+1, got, want)
		}
	}
	for range 30 {
		if got := d.fell(now); got != maxHold {
			t.Errorf("out for %s", got)
		}
	}
	if got := d.fell(now.Add(flapWindow)); got != 0 {
		t.Errorf("a failure after a quiet time: out for %s", got)
	}
}

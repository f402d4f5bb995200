package checker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFallAndRise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check())
		f.run(t)
		wait(100 * time.Millisecond)
		want(t, "the first result", f.said(), "b1 up: ok")
		s.set(refused)
		wait(2 * time.Second)
		want(t, "two failures of three", f.said(),
			"b1 up: refused (1 of 3 failures) | b1 up: refused (2 of 3 failures)")
		wait(time.Second)
		want(t, "three failures", f.said(), "b1 down: refused")
		s.set(passed)
		wait(time.Second)
		want(t, "one of two passed", f.said(), "b1 down: passed 1 of 2 checks")
		wait(time.Second)
		want(t, "two passed", f.said(), "b1 up: ok")
	})
}

func TestOneFailureChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check())
		f.run(t)
		for range 20 {
			wait(1100 * time.Millisecond)
			s.set(refused)
			wait(2 * time.Second) // two of three
			s.set(passed)
		}
		if said := f.said(); strings.Contains(said, "down") {
			t.Errorf("failures that are not in a row say %s", said)
		}
	})
}

func TestFastInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check(func(c *Check) { c.Interval, c.Fast = 10*time.Second, 100*time.Millisecond }))
		f.run(t)
		wait(5 * time.Second)
		s.set(refused)
		wait(5*time.Second + 300*time.Millisecond)
		want(t, "three failures, the last two after a short interval each", f.said(),
			"b1 up: ok | b1 up: refused (1 of 3 failures) | b1 down: refused")
		before := s.count()
		wait(9 * time.Second)
		if n := s.count() - before; n != 0 {
			t.Errorf("%d checks within an interval of a backend that does not change", n)
		}
	})
}

func TestStart(t *testing.T) {
	tests := []struct {
		rule    string
		result  Result
		down    bool
		present Verdict
		want    string
	}{
		{"start up: the first result is a word", passed, false, Verdict{}, "b1 up: ok"},
		{"start up: a failure alone is none", refused, false, Verdict{}, ""},
		{"start down: the backend is out at once", refused, true, Verdict{},
			"b1 down: not checked yet | b1 down: refused"},
		{"start down: it needs rise", passed, true, Verdict{},
			"b1 down: not checked yet | b1 down: passed 1 of 2 checks"},
		{"the present verdict goes on: down", passed, false, Verdict{true, false, 100, "timeout"}, "b1 down: timeout"},
		{"the present verdict goes on: up", refused, true, Verdict{true, true, 50, "busy"}, "b1 50%: busy"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			f, s := newFake(), &server{result: tt.result}
			f.present[Name{"web", "b1"}] = tt.present
			f.set(s.check(func(c *Check) { c.StartsDown = tt.down; c.Interval = 900 * time.Millisecond }))
			f.run(t)
			wait(200 * time.Millisecond)
			if got := f.said(); !strings.HasPrefix(tt.want, got) || (got == "") != (tt.want == "") {
				t.Errorf("%s: %q, want %q", tt.rule, got, tt.want)
			}
		})
	}
}

func TestWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check())
		f.run(t)
		wait(100 * time.Millisecond)
		s.set(Result{Healthy: true, Percent: 30, Reason: "ok"})
		wait(time.Second)
		want(t, "a new weight", f.said(), "b1 up: ok | b1 30%: ok")
		s.set(refused)
		wait(time.Second)
		want(t, "one failure keeps the weight", f.said(), "b1 30%: refused (1 of 3 failures)")
	})
}

func TestManyFailuresAreOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		var checks []Check
		for i := range 1000 {
			checks = append(checks, s.check(func(c *Check) {
				c.Backend, c.Interval, c.Fall = fmt.Sprint("b", i), time.Hour, 1
			}))
		}
		f.set(checks...)
		c := f.run(t)
		wait(10 * time.Second)
		f.said()
		now := time.Now()
		for _, target := range c.targets { // the loop sleeps
			c.speaker.say(Word{Name: target.Name, Reason: now.String()})
		}
		wait(time.Second)
		if n := len(f.requests); n != 1 {
			t.Errorf("%d requests for 1,000 words", n)
		}
	})
}

// 1,000 backends whose checks are spread over an interval fail at once, and come back: each is one request.
func TestWave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		var checks []Check
		for i := range 1000 {
			checks = append(checks, s.check(func(c *Check) { c.Backend, c.Jitter = fmt.Sprint("b", i), 0.1 }))
		}
		f.set(checks...)
		f.run(t)
		wait(30 * time.Second)
		for _, step := range []struct {
			to     Result
			said   string
			within time.Duration
		}{
			{refused, " down: refused", 3 * time.Second}, {passed, " up: ok", 2 * time.Second},
		} {
			f.said()
			s.set(step.to)
			wait(step.within + s.takes + 500*time.Millisecond)
			turns := slices.DeleteFunc(f.allSaid(), func(r string) bool { return !strings.Contains(r, step.said) })
			if len(turns) != 1 || strings.Count(turns[0], step.said) != 1000 {
				t.Errorf("%s: %d requests", step.said, len(turns))
			}
			wait(10 * time.Second)
		}
	})
}

// One backend that fails does not wait.
func TestNoWave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check())
		f.run(t)
		wait(5100 * time.Millisecond)
		s.set(refused)
		wait(3 * time.Second)
		if w := f.word("b1"); w.Healthy {
			t.Errorf("the word is late: %s", brief(w))
		}
	})
}

func TestWordsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check())
		f.run(t)
		last, said := time.Now(), 0
		for began := time.Now(); time.Since(began) < 5*time.Minute; {
			wait(time.Second)
			if f.said() != "" {
				last, said = time.Now(), said+1
			}
			if w := f.word("b1"); time.Since(last) > w.For/2 {
				t.Fatalf("a word that lapses after %s is not repeated for %s", w.For, time.Since(last))
			}
		}
		if said > 40 {
			t.Errorf("%d words in five minutes without a change", said)
		}
	})
}

// Checks go on while farmc watch is away, and it hears all words when it is back.
func TestWatchAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, steady := newFake(), &server{result: passed}, &server{result: passed}
		f.set(s.check(), steady.check(func(c *Check) { c.Backend = "b2" }))
		f.run(t)
		wait(5 * time.Second)
		f.with(func() { f.away = true })
		s.set(refused)
		f.said()
		before := s.count()
		wait(time.Minute)
		if n := s.count() - before; n < 55 {
			t.Errorf("%d checks in a minute without farmc watch", n)
		}
		f.with(func() { f.away = false; clear(f.words) })
		wait(10 * time.Second)
		want(t, "the word after the absence", brief(f.word("b1")), "b1 down: refused")
		want(t, "the word that was said before", brief(f.word("b2")), "b2 up: ok")
		lines := strings.Split(strings.TrimSpace(f.logged()), "\n")
		slices.Sort(lines)
		want(t, "the log", strings.Join(lines, "\n"), "farmc watch takes no words; checks go on: connection refused\n"+
			"farmc watch takes words again\n"+
			"the farms can be read again\nthe farms cannot be read; checks go on: connection refused")
	})
}

// A failure while the process stands still does not count, and the check is repeated. The next failure counts.
func TestStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		c := &Checker{Farms: f, Listen: f, Log: t.Logf}
		c.prepare()
		c.update(update{checks: []Check{s.check(func(c *Check) { c.Fall, c.Fast = 2, 100*time.Millisecond })}})
		b := c.targets[Name{"web", "b1"}]
		fail := func() {
			round := c.round
			time.Sleep(maxSleep + maxStill + time.Millisecond)
			c.noticeStandstill()
			c.finish(t.Context(), result{b, refused, round, 0})
		}
		for i, want := range []int{0, 1, 1, 0} {
			fail()
			if b.judge.streak != want {
				t.Errorf("failure %d: %d failures count, want %d", i+1, b.judge.streak, want)
			}
			if i == 0 && time.Until(b.due) > b.Fast {
				t.Errorf("the check is repeated after %s", time.Until(b.due))
			}
		}
		if b.judge.healthy {
			t.Error("failures never count on a machine that is too slow")
		}
	})
}

// farmc watch forgets the words when it starts anew.
func TestWatchStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, steady := newFake(), &server{result: passed}, &server{result: passed}
		f.set(s.check(), steady.check(func(c *Check) { c.Backend = "b2" }))
		f.run(t)
		wait(10500 * time.Millisecond) // the words were repeated
		f.with(func() { f.away = true; clear(f.words) })
		s.set(refused)
		wait(4 * time.Second)
		f.with(func() { f.away = false })
		wait(4 * time.Second)
		want(t, "the other word", brief(f.word("b2")), "b2 up: ok")
	})
}

// A check that cannot be made says nothing about the backend: the verdict stays, and the word lapses.
func TestUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check())
		f.run(t)
		wait(2 * time.Second)
		f.said()
		s.set(Result{Unknown: true, Reason: "too many open files"})
		wait(time.Minute)
		want(t, "words", f.said(), "")
		want(t, "the log", f.logged(), "web: backend b1 is not checked: too many open files\n")
		s.set(refused)
		wait(1100 * time.Millisecond)
		want(t, "the first failure", f.said(), "b1 up: refused (1 of 3 failures)")
	})
}

func TestRefusedWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.refuses[Name{"web", "b1"}] = true
		f.set(s.check())
		f.run(t)
		wait(3 * time.Second)
		want(t, "the log", f.logged(), "web: backend b1: the word is not in force: refused\n")
		f.with(func() { f.refuses = nil })
		wait(2 * time.Second)
		want(t, "the word", brief(f.word("b1")), "b1 up: ok")
	})
}

func TestFarmsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, other := newFake(), &server{result: passed}, &server{result: passed}
		f.set(s.check())
		f.run(t)
		wait(3 * time.Second)
		f.set(other.check(func(c *Check) { c.Backend = "b2" }))
		f.said()
		wait(3 * time.Second)
		want(t, "words", f.said(), "b1 withdrawn, b2 up: ok")
		before := s.count()
		wait(10 * time.Second)
		if s.count() > before {
			t.Error("a backend that left is still checked")
		}
		// A longer interval, and the verdict stays.
		f.set(other.check(func(c *Check) { c.Backend, c.Interval, c.Spec = "b2", time.Hour, "new" }))
		wait(2 * time.Second)
		before = other.count()
		wait(10 * time.Minute)
		if other.count() > before {
			t.Error("a backend is checked at its old interval")
		}
	})
}

// A change of a check does not begin its verdict anew.
func TestCheckChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check())
		f.run(t)
		wait(3500 * time.Millisecond)
		f.set(s.check(func(c *Check) { c.StartsDown, c.Interval, c.Fast = true, time.Minute, time.Minute }))
		wait(2500 * time.Millisecond)
		s.set(refused)
		f.said()
		wait(2 * time.Minute)
		if said := f.said(); !strings.Contains(said, "2 of 3 failures") || strings.Contains(said, "down") {
			t.Errorf("two failures of three: %s", said)
		}
	})
}

func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check(func(c *Check) { c.Rise, c.Fall = 1, 1 }))
		f.run(t)
		var outages []time.Duration
		var reasons []string
		var flaps []bool
		for range 7 {
			for _, r := range []Result{refused, passed} {
				s.set(r)
				began := time.Now()
				for wait(time.Second); f.word("b1").Healthy != r.Healthy; {
					wait(time.Second)
				}
				if !r.Healthy {
					reasons, flaps = append(reasons, f.word("b1").Reason), append(flaps, f.word("b1").Flaps)
				}
				if r.Healthy {
					outages = append(outages, time.Since(began).Round(10*time.Second))
				}
			}
		}
		want(t, "words that say so", fmt.Sprint(flaps), "[false false false true true true true]")
		want(t, "outages", fmt.Sprint(outages), "[0s 0s 0s 10s 20s 40s 1m20s]")
		want(t, "the reason of the third failure", reasons[2], "refused")
		want(t, "the reason of the fourth failure", reasons[3], "flaps, 4 failures within 10m0s; refused")
		want(t, "the log", f.logged(), ""+
			"web: backend b1 flaps: 4 failures within 10m0s; it stays out for 10s at least\n"+
			"web: backend b1 flaps: 5 failures within 10m0s; it stays out for 20s at least\n"+
			"web: backend b1 flaps: 6 failures within 10m0s; it stays out for 40s at least\n"+
			"web: backend b1 flaps: 7 failures within 10m0s; it stays out for 1m20s at least\n")
		wait(flapWindow)
		s.set(refused)
		wait(3 * time.Second)
		want(t, "the log after a quiet time", f.logged(), "")
	})
}

// A check that ended long after its timeout is one of a process that had no processor.
func TestLateTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFake(), &server{result: passed}
		f.set(s.check(func(c *Check) { c.Fall = 1 }))
		f.run(t)
		wait(2500 * time.Millisecond)
		late := refused
		late.Took = time.Second
		s.set(late)
		wait(600 * time.Millisecond)
		s.set(passed)
		wait(2 * time.Second)
		if said := f.said(); strings.Contains(said, "down") {
			t.Errorf("a late timeout says %s", said)
		}
	})
}

// 10,000 backends that never answer use up the slots of slow checks. The other backends are checked in time.
func TestSilentBackendsDelayNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		silent := &server{result: refused, takes: 20 * time.Second}
		quick := &server{result: passed, takes: time.Millisecond}
		var checks []Check
		for i := range 10_000 {
			checks = append(checks, silent.check(func(c *Check) {
				c.Backend, c.Timeout, c.Interval = fmt.Sprint("s", i), silent.takes, silent.takes
			}))
		}
		for i := range 100 {
			checks = append(checks, quick.check(func(c *Check) { c.Backend = fmt.Sprint("q", i) }))
		}
		f.set(checks...)
		c := f.runWith(t, newSlots(1000))
		wait(30 * time.Second)
		quick.mu.Lock()
		quick.starts = nil
		quick.mu.Unlock()
		wait(10 * time.Second)
		if n := quick.count(); n < 990 || n > 1010 {
			t.Errorf("%d checks of 100 backends in 10 s", n)
		}
		if s := c.slots[Network]; s.running > s.most || s.slow > s.mostSlow {
			t.Errorf("%d checks run, %d of them slow", s.running, s.slow)
		}
	})
}

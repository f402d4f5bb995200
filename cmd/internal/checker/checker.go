// Package checker checks backends, and says to farmc watch whether they are healthy.
//
// A Checker has a check for each backend. One goroutine, the loop, decides when each check starts, and judges the
// results: a backend changes its verdict after several equal results. A Speaker says changes of verdicts to farmc
// watch, many in one request. Each word is repeated before it lapses. Package probe has the checks themselves.
//
// Order of the files: checker.go (Checker, its loop), target.go (a backend and its verdict), queue.go (the order of
// starts), pace.go and slots.go (bounds on starts and on running checks), judge.go (rise and fall), damping.go
// (backends that flap), speaker.go (words on their way), wave.go (many words at the same time), follow.go (farms
// that change), farms.go (checks of farms), client.go (the API over HTTP), delay.go (how late checks start).
//
// Be aware:
//   - All times are monotonic. A jump of the clock of the machine changes nothing.
//   - If this process stands still, because it was stopped or the machine is overloaded, checks fail although their
//     backends are healthy. A failure of a check that ran at such a time does not count.
//   - Without farmc watch, checks go on, and words wait.
package checker

import (
	"context"
	"sync/atomic"
	"time"
)

// A Checker checks the backends of farms. All fields are set before Run.
type Checker struct {
	Farms  Source
	Listen Listener
	Log    func(format string, args ...any)
	Turned func(Turn)    // is called at each change of a verdict, and at the first one; nil: none is
	Poll   time.Duration // between two looks at the farms

	Started Delays // of checks

	targets map[Name]*target
	queue   queue
	pace    pace
	slots   map[Kind]*slots // nil: as many as this process can have
	speaker *Speaker
	counts  atomic.Pointer[Counts]
	results chan result
	turn    time.Time // the loop was awake
	counted time.Time
	unknown map[string]time.Time // causes of checks that could not be made
	round   int                  // increases when the process stood still
}

// Counts are numbers of backends.
type Counts struct{ Checked, Unhealthy int }

// Count returns the numbers of backends about a second ago.
func (c *Checker) Count() Counts {
	if n := c.counts.Load(); n != nil {
		return *n
	}
	return Counts{}
}

// A Turn is the first verdict about a backend, or a change.
type Turn struct {
	Name
	Result
	First bool
	Held  time.Duration // the backend flaps: it stays out for this time at least; 0: it does not
}

// A result is the end of a check.
type result struct {
	*target
	Result
	round int           // of the start of the check
	late  time.Duration // by which it started
}

// An update has the checks of all farms.
type update struct {
	checks  []Check
	present map[Name]Verdict // about backends that are new
}

// maxSleep is the longest sleep of the loop, and maxStill the time by which it can wake too late while the process
// works.
const (
	maxSleep = 100 * time.Millisecond
	maxStill = 250 * time.Millisecond
)

// Run checks backends until ctx is done.
func (c *Checker) Run(ctx context.Context) {
	c.prepare()
	updates := make(chan update)
	done := make(chan struct{}, 2)
	go func() { c.speaker.run(ctx); done <- struct{}{} }()
	go func() { c.follow(ctx, updates); done <- struct{}{} }()
	c.loop(ctx, updates)
	<-done
	<-done
}

func (c *Checker) prepare() {
	c.targets, c.results = map[Name]*target{}, make(chan result, 1024)
	c.speaker = newSpeaker(c.Listen, c.Log)
	if c.slots == nil {
		c.slots = map[Kind]*slots{Network: newSlots(networkSlots()), Program: newSlots(programSlots)}
	}
	c.turn, c.unknown = time.Now(), map[string]time.Time{}
}

// loop starts checks and judges their results until ctx is done.
func (c *Checker) loop(ctx context.Context, updates <-chan update) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case u := <-updates:
			c.noticeStandstill()
			c.update(u)
		case r := <-c.results:
			c.noticeStandstill()
			c.finish(ctx, r)
		case <-timer.C:
			c.noticeStandstill()
		}
		c.countTargets()
		timer.Reset(c.startDue(ctx))
	}
}

// countTargets counts the backends, once in a second.
func (c *Checker) countTargets() {
	if c.turn.Sub(c.counted) < time.Second {
		return
	}
	n := Counts{Checked: len(c.targets)}
	for _, t := range c.targets {
		if !t.judge.healthy {
			n.Unhealthy++
		}
	}
	c.counted = c.turn
	c.counts.Store(&n)
}

// noticeStandstill begins a new round if the process stood still.
func (c *Checker) noticeStandstill() {
	now := time.Now()
	if now.Sub(c.turn) > maxSleep+maxStill {
		c.round++
	}
	c.turn = now
}

// startDue starts the checks that are due, and returns the time to sleep. Each call starts few, so that the loop also
// takes results.
func (c *Checker) startDue(ctx context.Context) time.Duration {
	now := time.Now()
	for range maxStarts {
		t := c.queue.first()
		if t == nil || t.due.After(now) {
			break
		}
		if wait := c.pace.take(now); wait > 0 {
			return min(wait, maxSleep)
		}
		c.queue.pop()
		if !t.gone && c.slots[t.Kind].enter(t) {
			c.start(ctx, t)
		}
	}
	if t := c.queue.first(); t != nil {
		return min(max(time.Until(t.due), 0), maxSleep)
	}
	return maxSleep
}

// maxStarts is the number of checks that the loop starts before it looks at results.
const maxStarts = 64

// start runs a check in a goroutine.
func (c *Checker) start(ctx context.Context, t *target) {
	round, due := c.round, t.due
	t.began = time.Now()
	run, limit := t.Run, t.limit()
	go func() {
		late := time.Since(due)
		c.Started.add(late)
		within, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		r := result{t, run(within), round, late}
		select {
		case c.results <- r:
		case <-ctx.Done():
		}
	}()
}

// finish judges the result of a check, and schedules the next one.
func (c *Checker) finish(ctx context.Context, r result) {
	t, now := r.target, time.Now()
	for _, next := range c.slots[t.Kind].leave(t) {
		c.start(ctx, next)
	}
	t.isSlow = r.Took >= t.Timeout
	t.late = max(t.late, r.late)
	if t.gone || ctx.Err() != nil {
		return
	}
	if !r.Healthy && c.stoodStill(r) && !t.excused {
		t.excused = true
	} else {
		t.excused = false
		c.judge(t, r.Result, now)
	}
	t.due = t.next(now)
	c.queue.push(t)
}

// stoodStill reports whether the process stood still during a check, or got its processor late.
func (c *Checker) stoodStill(r result) bool {
	return r.round != c.round || r.Took > r.Timeout+maxStill
}

// judge counts a result, and says the verdict if farmc watch does not know it.
func (c *Checker) judge(t *target, r Result, now time.Time) {
	if r.Unknown {
		c.noteUnknown(t, r, now)
		return
	}
	turned, held := t.judge.take(r.Healthy, t.Timing, now)
	t.last, t.lastAt = r, now
	c.speaker.wave.count(t, t.judge.streak > 0 && t.judge.held(now) == 0)
	if held > 0 {
		c.Log("%s flaps: %d failures within %s; it stays out for %s at least", t.Name, len(t.judge.falls), flapWindow,
			held)
	}
	if c.Turned != nil && (turned || !t.reported && t.judge.settled()) {
		c.Turned(Turn{Name: t.Name, Result: r, First: !t.reported, Held: t.judge.held(now)})
	}
	t.reported = t.reported || turned || t.judge.settled()
	if w := t.word(now); t.mustSay(w, turned, now) {
		t.said, t.saidAt, t.late = w, now, 0
		w.patience = t.patience(turned)
		c.speaker.say(w)
	}
}

// noteUnknown logs that a check could not be made, which says nothing about the backend. No word is said, so the last
// one lapses if that goes on. Many backends can have one cause, which is logged once in a while.
func (c *Checker) noteUnknown(t *target, r Result, now time.Time) {
	if last, logged := c.unknown[r.Reason]; !logged || now.Sub(last) >= unknownPause {
		c.Log("%s is not checked: %s", t.Name, r.Reason)
	}
	c.unknown[r.Reason] = now
	if len(c.unknown) > maxCauses {
		clear(c.unknown)
	}
}

const (
	unknownPause = time.Minute // without the cause, before it is logged again
	maxCauses    = 1000
)

// update takes the checks of all farms. A check that did not change goes on.
func (c *Checker) update(u update) {
	now, wanted := time.Now(), map[Name]bool{}
	var fresh []*target
	for _, check := range u.checks {
		wanted[check.Name] = true
		t := c.targets[check.Name]
		switch {
		case t == nil:
			t = newTarget(check, u.present[check.Name])
		case t.same(check):
			continue
		default:
			t = t.replace(check)
		}
		c.targets[check.Name] = t
		fresh = append(fresh, t)
	}
	for name, t := range c.targets {
		if !wanted[name] {
			t.gone = true
			c.speaker.wave.count(t, false)
			delete(c.targets, name)
			c.speaker.withdraw(name)
		}
	}
	c.pace.set(c.rate())
	c.enqueue(fresh, now)
}

// enqueue spreads the first checks of backends over a time, and says the verdicts that they begin with.
func (c *Checker) enqueue(fresh []*target, now time.Time) {
	for _, t := range fresh {
		t.due = now.Add(t.firstWait(len(fresh)))
		c.queue.push(t)
		if t.judge.sure {
			t.said, t.saidAt = t.word(now), now
			c.speaker.say(t.said)
		}
	}
}

// rate is the number of checks in a second if all backends are about to change.
func (c *Checker) rate() (perSecond float64) {
	for _, t := range c.targets {
		perSecond += 1 / t.fastest().Seconds()
	}
	return perSecond
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/systemd"
	"farmc/cmd/internal/watch"
	"farmc/compiler/diag"
)

var watchVerb = verb{
	name:    "watch",
	summary: "apply now, and at every change of a file",
	about: `Applies at the start and at each change in the directories, once they have been quiet for
100 ms; when an interface that farms name comes or goes; when somebody else changes the rules;
and on SIGHUP, which tells again what is wrong. A fault is told once; the rules that run stay
until it is mended. Ends with SIGTERM or SIGINT, and leaves the rules. Tells systemd how it is
(Type=notify).`,
	flags: (*call).isolateFlag,
	run: func(ctx context.Context, c *call) int {
		manager, err := systemd.Dial()
		if err != nil {
			c.fail(err)
		}
		w := watcher{call: c, engine: c.engine(), manager: manager, told: "nothing yet"}
		w.guard = w.engine.Guard()
		w.listen(ctx)
		w.keepAlive(ctx)
		w.apply(ctx)
		manager.Ready(w.status)
		giveBack()
		w.follow(ctx)
		manager.Stopping()
		w.end()
		return done
	},
}

// A watcher applies again and again, and does not repeat itself.
type watcher struct {
	*call
	engine  *live.Engine
	manager systemd.Notifier
	told    string // the diagnostics and errors that were told last
	blind   bool   // it was told that the kernel can't be asked
	waits   bool   // a load waits to be confirmed
	retry   retry
	status  string    // how things are, in a line
	plan    live.Plan // of the last time

	guard *live.Guard
	peace peace

	files, links <-chan struct{}
	rules        <-chan string // who changed farmc's tables, perhaps farmc
	hangups      chan os.Signal
	busy         atomic.Pointer[time.Time] // since when it applies; nil while it waits
}

// listen begins to hear of all that is a reason to apply. What happens after it returned is heard.
func (w *watcher) listen(ctx context.Context) {
	w.hangups = make(chan os.Signal, 1)
	signal.Notify(w.hangups, syscall.SIGHUP)
	w.files = watch.Watch(ctx, w.dirPaths(), func(err error) { w.tell("farmc: %v", err) })
	links, err := watch.Links(ctx)
	if err != nil {
		w.fail(err)
	}
	w.links = links
	w.rules, err = w.engine.Changes(ctx)
	if err != nil {
		w.fail(err)
	}
}

// follow applies whenever there is a reason, until ctx is done.
func (w *watcher) follow(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-w.onTrial():
			w.attend(ctx)
		case <-w.retry.due:
			w.apply(ctx)
		case <-ctx.Done():
			return
		case <-w.hangups:
			w.again(ctx)
		case <-w.files:
			w.apply(ctx)
		case <-w.links:
			if w.plan.Moved() {
				w.apply(ctx)
			}
		case by := <-w.rules:
			w.look(ctx, by)
		case <-w.peace.over:
			w.look(ctx, w.peace.broken())
		}
		w.manager.Status(w.status)
	}
}

// onTrial ticks while a load waits to be confirmed.
func (w *watcher) onTrial() <-chan time.Time {
	t, err := w.engine.Store.Trial()
	w.waits = w.waits || t != nil && err == nil
	if !w.waits {
		return nil
	}
	return time.After(time.Second)
}

// attend applies what changed while a load waited to be confirmed, once that is over; and sees to it that it is taken
// back, should the one who was to do so be no more.
func (w *watcher) attend(ctx context.Context) {
	t, err := w.engine.Store.Trial()
	if err == nil && t != nil && t.Left() > -2*time.Second {
		return
	}
	w.waits = false
	w.apply(ctx)
}

// giveBack lets go of the memory that the first load took: those to come need a fifth of it.
func giveBack() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(100)
	}
	debug.FreeOSMemory()
}

// end waits until all is let go.
func (w *watcher) end() {
	signal.Stop(w.hangups)
	for range w.files {
	}
	if w.links != nil {
		for range w.links {
		}
	}
}

// again applies as at the start: who asks for it wants to hear what is wrong.
func (w *watcher) again(ctx context.Context) {
	w.manager.Reloading()
	w.told = "nothing yet"
	w.engine.Forget()
	w.apply(ctx)
	w.manager.Ready(w.status)
}

// look sees whether the rules are still what was loaded, and mends them.
func (w *watcher) look(ctx context.Context, by string) {
	if ctx.Err() != nil || w.peace.kept(by) {
		return
	}
	wrong, err := w.guard.Wrong(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		w.fail(err)
	case wrong != "":
		select {
		case newer, more := <-w.rules: // what is wrong came while it was looked for
			if more {
				by = newer
			}
		default:
		}
		w.fail(fmt.Errorf("somebody changed the rules (%s): %s", by, wrong))
		if pause := w.peace.strike(time.Now(), by); pause > 0 {
			w.fail(fmt.Errorf("that happens again and again, so the rules are loaded at most every %s", pause))
		}
		w.applyInDoubt(ctx, "the rules were changed")
	}
}

func (w *watcher) apply(ctx context.Context) { w.applyInDoubt(ctx, "") }

func (w *watcher) applyInDoubt(ctx context.Context, doubt string) {
	if ctx.Err() != nil { // whose end looks like news
		return
	}
	began := time.Now()
	w.busy.Store(&began)
	defer w.busy.Store(nil)
	p, told, err := w.engine.ApplyInDoubt(ctx, doubt)
	loaded := err == nil || errors.Is(err, live.ErrUnkept) || p.Isolated != nil
	if ctx.Err() != nil && !loaded && !p.Restored {
		return
	}
	unknown := w.guard.Remember(ctx)
	if unknown != nil && err == nil && ctx.Err() == nil && !w.blind {
		w.fail(fmt.Errorf("can't tell whether the rules stay as they are: %w", unknown))
		w.blind = true
	}
	w.plan = p
	w.waits = w.waits || errors.Is(err, live.ErrOnTrial) // that may be over before anybody looks again
	w.retry.after(err)
	said := saying(told, err)
	news := said != w.told
	w.told = said
	if news {
		w.applyOutcome(p, told, err)
	}
	w.status = state(p, told, err)
	if news && p.Isolated != nil {
		w.tell("%s", few(p.Isolated))
	}
	switch {
	case errors.Is(err, live.ErrOnTrial) && !p.Restored:
	case !loaded && p.Restored:
		w.tell("%s", restored(p))
	case !loaded && news:
		w.tell("the rules that run stay as they are")
	case !loaded || p.Held && !news && (len(p.Changes) == 0 || errors.Is(err, live.ErrUnkept)):
	case len(p.Changes) > 0:
		w.tell("%s; %s", few(p.Changes), result(p, time.Since(began)))
	default:
		w.tell("%s", result(p, time.Since(began)))
	}
	runtime.GC() // now, and not in the middle of the next load
}

// state says in a line how things are after an apply.
func state(p live.Plan, told diag.Diagnostics, err error) string {
	switch {
	case p.Isolated != nil:
		return fmt.Sprintf("%s: %s; %s; %s loaded", summary(told), firstFault(told), few(p.Isolated), farms(len(p.Script.Farms)))
	case errors.Is(err, live.ErrFaulty):
		return fmt.Sprintf("%s: %s; the rules that run stay as they are", summary(told), firstFault(told))
	case err != nil:
		return err.Error()
	}
	return farms(len(p.Script.Farms)) + " loaded"
}

// firstFault gives the first fault with its place.
func firstFault(told diag.Diagnostics) string {
	for _, d := range told {
		if d.Severity == diag.Fault {
			return strings.TrimPrefix(d.Place.String()+": ", ": ") + d.Message
		}
	}
	return "nft says no"
}

// longest is how long an apply may take before the service manager is left to believe that it never ends: a list of
// 500,000 networks takes half a minute.
const longest = 10 * time.Minute

// keepAlive gives the service manager signs of life, if it wants some, as long as none of the applies takes for ever.
func (w *watcher) keepAlive(ctx context.Context) {
	patience := systemd.WatchdogTimeout()
	if patience == 0 {
		return
	}
	go func() {
		for beat := time.NewTicker(patience / 3); ; {
			select {
			case <-ctx.Done():
				beat.Stop()
				return
			case <-beat.C:
				if since := w.busy.Load(); since == nil || time.Since(*since) < longest {
					w.manager.Alive()
				}
			}
		}
	}()
}

// retry tries again without a change of a file where nothing is wrong with the farms: a disk may be full no more, nft be
// there again. The rest waits for a change.
type retry struct {
	due   <-chan time.Time
	pause time.Duration
}

func (r *retry) after(err error) {
	if r.due = nil; err == nil || errors.Is(err, live.ErrFaulty) || errors.Is(err, live.ErrHeld) || errors.Is(err, live.ErrOnTrial) {
		r.pause = 0
		return
	}
	r.pause = min(max(2*r.pause, time.Second), time.Minute)
	r.due = time.After(r.pause)
}

// saying is what diagnostics and an error come to, to be compared.
func saying(told diag.Diagnostics, err error) string {
	var out strings.Builder
	told.Print(&out, diag.Palette{})
	if errors.Is(err, live.ErrOnTrial) {
		err = live.ErrOnTrial // whatever time there is left
	}
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

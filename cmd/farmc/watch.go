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
			c.printError(err)
		}
		w := watcher{call: c, engine: c.engine(), manager: manager, reported: "nothing yet"}
		w.monitor = w.engine.Monitor()
		w.subscribe(ctx)
		w.keepAlive(ctx)
		w.apply(ctx)
		manager.Ready(w.status)
		releaseMemory()
		w.run(ctx)
		manager.Stopping()
		w.close()
		return exitOK
	},
}

// A watcher applies again and again, and does not repeat itself.
type watcher struct {
	*call
	engine        *live.Engine
	manager       systemd.Notifier
	reported      string // the diagnostics and errors that were told last
	monitorFailed bool   // it was told that the kernel can't be asked
	awaitsConfirm bool   // a load waits to be confirmed
	retry         retry
	status        string    // how things are, in a line
	plan          live.Plan // of the last time

	monitor *live.Monitor
	backoff backoff

	files, links <-chan struct{}
	rules        <-chan string // who changed farmc's tables, perhaps farmc
	hangups      chan os.Signal
	busy         atomic.Pointer[time.Time] // since when it applies; nil while it waits
}

// listen begins to hear of all that is a reason to apply. What happens after it returned is heard.
func (w *watcher) subscribe(ctx context.Context) {
	w.hangups = make(chan os.Signal, 1)
	signal.Notify(w.hangups, syscall.SIGHUP)
	w.files = watch.Watch(ctx, w.dirPaths(), func(err error) { w.log("farmc: %v", err) })
	links, err := watch.Links(ctx)
	if err != nil {
		w.printError(err)
	}
	w.links = links
	w.rules, err = w.engine.Changes(ctx)
	if err != nil {
		w.printError(err)
	}
}

// follow applies whenever there is a reason, until ctx is done.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-w.trialTick():
			w.checkTrial(ctx)
		case <-w.retry.due:
			w.apply(ctx)
		case <-ctx.Done():
			return
		case <-w.hangups:
			w.reload(ctx)
		case <-w.files:
			w.apply(ctx)
		case <-w.links:
			if w.plan.InterfacesChanged() {
				w.apply(ctx)
			}
		case by := <-w.rules:
			w.checkRules(ctx, by)
		case <-w.backoff.ended:
			w.checkRules(ctx, w.backoff.end())
		}
		w.manager.Status(w.status)
	}
}

// onTrial ticks while a load waits to be confirmed.
func (w *watcher) trialTick() <-chan time.Time {
	t, err := w.engine.Store.Trial()
	w.awaitsConfirm = w.awaitsConfirm || t != nil && err == nil
	if !w.awaitsConfirm {
		return nil
	}
	return time.After(time.Second)
}

// attend applies what changed while a load waited to be confirmed, once that is over; and sees to it that it is taken
// back, should the one who was to do so be no more.
func (w *watcher) checkTrial(ctx context.Context) {
	t, err := w.engine.Store.Trial()
	if err == nil && t != nil && t.Left() > -2*time.Second {
		return
	}
	w.awaitsConfirm = false
	w.apply(ctx)
}

// giveBack lets go of the memory that the first load took: those to come need a fifth of it.
func releaseMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(100)
	}
	debug.FreeOSMemory()
}

// end waits until all is let go.
func (w *watcher) close() {
	signal.Stop(w.hangups)
	for range w.files {
	}
	if w.links != nil {
		for range w.links {
		}
	}
}

// again applies as at the start: who asks for it wants to hear what is wrong.
func (w *watcher) reload(ctx context.Context) {
	w.manager.Reloading()
	w.reported = "nothing yet"
	w.engine.Forget()
	w.apply(ctx)
	w.manager.Ready(w.status)
}

// look sees whether the rules are still what was loaded, and mends them.
func (w *watcher) checkRules(ctx context.Context, by string) {
	if ctx.Err() != nil || w.backoff.active(by) {
		return
	}
	wrong, err := w.monitor.Tampering(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		w.printError(err)
	case wrong != "":
		select {
		case newer, more := <-w.rules: // what is wrong came while it was looked for
			if more {
				by = newer
			}
		default:
		}
		w.printError(fmt.Errorf("somebody changed the rules (%s): %s", by, wrong))
		if pause := w.backoff.hit(time.Now(), by); pause > 0 {
			w.printError(fmt.Errorf("that happens again and again, so the rules are loaded at most every %s", pause))
		}
		w.applyBecause(ctx, "the rules were changed")
	}
}

func (w *watcher) apply(ctx context.Context) { w.applyBecause(ctx, "") }

func (w *watcher) applyBecause(ctx context.Context, reason string) {
	if ctx.Err() != nil { // whose end looks like news
		return
	}
	began := time.Now()
	w.busy.Store(&began)
	defer w.busy.Store(nil)
	p, diagnostics, err := w.engine.ApplyBecause(ctx, reason)
	loaded := err == nil || errors.Is(err, live.ErrUnkept) || p.Isolated != nil
	if ctx.Err() != nil && !loaded && !p.Restored {
		return
	}
	unknown := w.monitor.Remember(ctx)
	if unknown != nil && err == nil && ctx.Err() == nil && !w.monitorFailed {
		w.printError(fmt.Errorf("can't tell whether the rules stay as they are: %w", unknown))
		w.monitorFailed = true
	}
	w.plan = p
	w.awaitsConfirm = w.awaitsConfirm || errors.Is(err, live.ErrOnTrial) // that may be over before anybody looks again
	w.retry.schedule(err)
	said := outcomeKey(diagnostics, err)
	news := said != w.reported
	w.reported = said
	if news {
		w.reportApply(p, diagnostics, err)
	}
	w.status = statusLine(p, diagnostics, err)
	if news && p.Isolated != nil {
		w.log("%s", abbreviate(p.Isolated))
	}
	switch {
	case errors.Is(err, live.ErrOnTrial) && !p.Restored:
	case !loaded && p.Restored:
		w.log("%s", restored(p))
	case !loaded && news:
		w.log("the rules that run stay as they are")
	case !loaded || p.UpToDate && !news && (len(p.Changes) == 0 || errors.Is(err, live.ErrUnkept)):
	case len(p.Changes) > 0:
		w.log("%s; %s", abbreviate(p.Changes), result(p, time.Since(began)))
	default:
		w.log("%s", result(p, time.Since(began)))
	}
	runtime.GC() // now, and not in the middle of the next load
}

// state says in a line how things are after an apply.
func statusLine(p live.Plan, diagnostics diag.Diagnostics, err error) string {
	switch {
	case p.Isolated != nil:
		return fmt.Sprintf("%s: %s; %s; %s loaded", summary(diagnostics), firstFault(diagnostics), abbreviate(p.Isolated), farms(len(p.Script.Farms)))
	case errors.Is(err, live.ErrFaulty):
		return fmt.Sprintf("%s: %s; the rules that run stay as they are", summary(diagnostics), firstFault(diagnostics))
	case err != nil:
		return err.Error()
	}
	return farms(len(p.Script.Farms)) + " loaded"
}

// firstFault gives the first fault with its place.
func firstFault(diagnostics diag.Diagnostics) string {
	for _, d := range diagnostics {
		if d.Severity == diag.Fault {
			return strings.TrimPrefix(d.Place.String()+": ", ": ") + d.Message
		}
	}
	return "nft says no"
}

// longest is how long an apply may take before the service manager is left to believe that it never ends: a list of
// 500,000 networks takes half a minute.
const maxApply = 10 * time.Minute

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
				if since := w.busy.Load(); since == nil || time.Since(*since) < maxApply {
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

func (r *retry) schedule(err error) {
	if r.due = nil; err == nil || errors.Is(err, live.ErrFaulty) || errors.Is(err, live.ErrHeld) || errors.Is(err, live.ErrOnTrial) {
		r.pause = 0
		return
	}
	r.pause = min(max(2*r.pause, time.Second), time.Minute)
	r.due = time.After(r.pause)
}

// saying is what diagnostics and an error come to, to be compared.
func outcomeKey(diagnostics diag.Diagnostics, err error) string {
	var out strings.Builder
	diagnostics.Print(&out, diag.Palette{})
	if errors.Is(err, live.ErrOnTrial) {
		err = live.ErrOnTrial // whatever time there is left
	}
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/resolve"
	"farmc/cmd/internal/systemd"
	"farmc/cmd/internal/watch"
	"farmc/compiler/farm"
)

var watchVerb = verb{
	name:    "watch",
	summary: "apply now, and at every change of a file",
	about: `Applies the farms at the start; after a change in the directories, once they have been quiet
for 100 ms; when an interface that farms name appears or vanishes; when the source address of
the route to a backend changes; when another program changes farmc's rules; and on SIGHUP, which
also repeats the current faults. Otherwise a fault is printed once, and the running rules stay
until it is fixed. A change of this machine that keeps farms from working is reported once, and
so is its end. SIGTERM and SIGINT end watch; the rules stay. Reports its state to systemd
(Type=notify).

With --api, watch answers requests of programs, in JSON over HTTP; see farmc-api(7). Also
answers on sockets that systemd opens for the service. With --relay, farmc api is the process
that clients connect to, without network privileges.

With --health, also checks the backends of farms with [health], as farmc health does.`,
	flags: func(c *call) {
		c.isolateFlag()
		c.withdrawDelayFlag()
		c.apiFlags()
		c.nftlbFlag()
		c.relayFlag("", "`socket` where farmc api hands requests over (default: none)")
		c.set.StringArrayVar(&c.api.readOnly, "read-only-dir", nil,
			"`directory` of farms that the API must not change; repeatable")
		c.set.BoolVar(&c.checks, "health", false, "check backends in this process, too")
	},
	run: func(ctx context.Context, c *call) int {
		w := watcher{call: c, engine: c.engine(), reported: nothingReported, served: make(chan struct{}, 1),
			slots: make(chan struct{}, 1)}
		w.engine.Idle, w.engine.FollowsNetwork, w.engine.ResolvesHosts = true, true, true
		w.engine.FollowsFiles = true
		var err error
		if w.api, err = c.newAPI(w.engine); err != nil {
			return c.usageError("%v", err)
		}
		w.reader = w.readerOf(w.api)
		if w.manager, err = systemd.Dial(); err != nil {
			c.printError(err)
		}
		w.monitor = w.engine.Monitor()
		if err := w.engine.Store.MarkWatcher(); err != nil {
			c.printError(err)
		}
		w.subscribe(ctx)
		w.moveSlots(ctx)
		w.askHosts(ctx)
		w.keepAlive(ctx)
		w.serve(ctx)
		if w.api != nil {
			w.api.watcher = &w
			w.api.start(ctx)
		}
		w.apply(ctx)
		w.manager.Ready(w.status)
		releaseMemory()
		w.run(ctx)
		w.manager.Stopping()
		w.close()
		w.log("watch has ended; the rules stay")
		return exitOK
	},
}

// A watcher applies the farms at each event, and logs only changes of the outcome.
type watcher struct {
	*call
	engine        *live.Engine
	manager       systemd.Notifier
	reported      string // key of the outcome that was logged last
	monitorFailed bool   // the log has the error of the monitor
	awaitsConfirm bool   // a trial was pending at the last look
	retry         retry
	stateRetry    time.Duration // pause after a state could not be ended
	status        string        // state for systemd, one line
	plan          live.Plan     // of the last apply, without its load
	farms         []*farm.Farm  // that were loaded last; nil: not known

	monitor *live.Monitor
	backoff backoff
	hosts   *resolve.Resolver
	failing map[string]bool // hostnames whose failure was logged
	api     *apiServer      // nil: none
	reader  *live.Reader    // of the API, or of the commands of other processes alone

	files, network <-chan struct{}
	machine        <-chan struct{}  // the machine may have changed
	served         chan struct{}    // a command of another process has run
	lookAfter      <-chan time.Time // the look at the files and the rules after such a command; nil: none is due
	lookDue        <-chan time.Time // the look at the machine after loads of others; nil: none is due
	lookTook       time.Duration    // of the last such look
	collect        <-chan time.Time // the look for garbage to collect; nil: none is due
	rules          <-chan string    // program that changed farmc's tables; can be farmc
	hangups        chan os.Signal
	busy           atomic.Pointer[time.Time] // start of the apply in progress; nil: none
	services       sync.WaitGroup            // goroutines that serve other processes
	slots          chan struct{}             // the rules may have changed, for the goroutine of moveSlots
}

// nothingReported is no outcome's key.
const nothingReported = "nothing yet"

// subscribe subscribes to all events. None is lost after it returns.
func (w *watcher) subscribe(ctx context.Context) {
	w.hangups = make(chan os.Signal, 1)
	signal.Notify(w.hangups, syscall.SIGHUP)
	w.files = watch.Watch(ctx, w.dirPaths(), w.engine.ReadAll, func(err error) { w.log("farmc: %v", err) })
	network, err := watch.Network(ctx)
	if err != nil {
		w.printError(err)
	}
	w.network = network
	if w.machine, err = preflight.Changes(ctx); err != nil {
		w.printError(err)
	}
	w.rules, err = w.engine.Changes(ctx)
	if err != nil {
		w.printError(err)
	}
}

// run handles events until ctx is done.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-w.trialTick():
			w.checkTrial(ctx)
		case <-w.retry.due:
			w.apply(ctx)
		case <-w.stateEnd():
			w.endStates(ctx)
		case <-ctx.Done():
			return
		case <-w.hangups:
			w.reload(ctx)
		case <-w.files:
			w.apply(ctx)
		case <-w.served:
			if w.lookAfter == nil {
				w.lookAfter = time.After(afterCommand)
			}
		case <-w.lookAfter:
			w.apply(ctx)
		case <-w.lookDue:
			w.look(ctx)
		case <-w.collect:
			w.collect = nil
			collectGarbage()
		case <-w.network:
			if w.plan.NetworkChanged() {
				w.engine.ForgetRoutes()
				w.apply(ctx)
			}
		case <-w.hosts.Changed():
			if w.keepAnswers() {
				w.apply(ctx)
			}
		case <-w.machine:
			if w.plan.ServesMore() {
				w.apply(ctx)
			}
			if len(w.farms) > 0 {
				w.look(ctx)
			}
		case by := <-w.rules:
			w.checkRules(ctx, by)
		case <-w.backoff.ended:
			w.checkRules(ctx, w.backoff.end())
		}
		w.manager.Status(w.status)
	}
}

// Pauses after work.
const (
	afterCommand = 300 * time.Millisecond // the look at changed files comes before, and is enough
	afterApply   = time.Second            // to the collection of garbage: the next command may follow at once
	afterWrites  = 2 * time.Second        // to the search for findings, if another process or the API has loaded
)

// look reports findings about this machine that appeared or ended since the last look.
func (w *watcher) look(ctx context.Context) {
	w.lookDue = nil
	defer func(began time.Time) { w.lookTook = time.Since(began) }(time.Now())
	if ctx.Err() != nil {
		return
	}
	l, err := w.engine.Look(ctx, w.farms)
	if err != nil {
		if ctx.Err() == nil {
			w.printError(err)
		}
		return
	}
	w.printLook(l)
}

// lookAtOnceOrSoon looks for findings after an apply that has loaded. If the rules were in force already, another
// process or the API may have loaded them, and will load more: one look follows soon, however many they are. Looks take
// a tenth of the time at most.
func (w *watcher) lookAtOnceOrSoon(ctx context.Context, p live.Plan) live.Look {
	switch {
	case !p.UpToDate:
		return w.engine.LookAfter(ctx, p)
	case p.InForce && w.lookDue == nil:
		w.lookDue = time.After(max(afterWrites, 10*w.lookTook))
	}
	return live.Look{}
}

// trialTick returns a timer while a load waits to be confirmed, and nil otherwise.
func (w *watcher) trialTick() <-chan time.Time {
	t, err := w.engine.Store.Trial()
	w.awaitsConfirm = w.awaitsConfirm || t != nil && err == nil
	if !w.awaitsConfirm {
		return nil
	}
	return time.After(time.Second)
}

// checkTrial applies the current files once the trial is over. If the confirm timer was killed, the apply rolls the
// trial back.
func (w *watcher) checkTrial(ctx context.Context) {
	t, err := w.engine.Store.Trial()
	if err == nil && t != nil && t.Left() > -2*time.Second {
		return
	}
	w.awaitsConfirm = false
	w.apply(ctx)
}

// maxStateWait is the longest time until the deadlines are read again: the wall clock can jump.
const maxStateWait = 10 * time.Second

// stateEnd returns a timer for the next end of a state of a backend (drain --for), and nil if there is none.
func (w *watcher) stateEnd() <-chan time.Time {
	left, exists := w.engine.NextDeadline()
	if !exists {
		return nil
	}
	return time.After(min(max(left, w.stateRetry), maxStateWait))
}

// endStates removes the drop-ins of states whose time is over, and applies.
func (w *watcher) endStates(ctx context.Context) {
	ended, err := w.engine.EndOverdueStates(ctx)
	w.stateRetry = 0
	if err != nil && ctx.Err() == nil {
		w.printError(err)
		w.stateRetry = maxStateWait
	}
	for _, words := range ended {
		w.log("%s", words)
	}
	if len(ended) > 0 {
		w.apply(ctx)
	}
}

// releaseMemory returns the memory of the first load to the kernel. Later loads need a fifth of it.
func releaseMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(100)
	}
	debug.FreeOSMemory()
}

// collectGarbage collects the garbage of loads now, instead of during the next load, if it is much.
func collectGarbage() {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(heap)
	if isMuch(heap[0].Value.Uint64(), heap[1].Value.Uint64(), heap[2].Value.Uint64()) {
		runtime.GC()
	}
}

// isMuch reports whether more than half of the bytes from the live ones to the goal of the next collection are used. A
// load among 10,000 farms uses a fifth of the live bytes, so few loads need a collection of their own.
func isMuch(used, live, goal uint64) bool { return 2*used > live+goal }

// close waits until the subscriptions have ended.
func (w *watcher) close() {
	signal.Stop(w.hangups)
	w.api.wait()
	for range w.files {
	}
	if w.network != nil {
		for range w.network {
		}
	}
	w.services.Wait()
}

// reload applies on SIGHUP: it reads all files, and logs the outcome even if it did not change.
func (w *watcher) reload(ctx context.Context) {
	w.manager.Reloading()
	w.reported = nothingReported
	w.engine.Forget()
	w.apply(ctx)
	w.manager.Ready(w.status)
}

// checkRules restores farmc's rules if another program changed them.
func (w *watcher) checkRules(ctx context.Context, by string) {
	if ctx.Err() != nil {
		return
	}
	if w.backoff.active(by) {
		w.withdrawUnserved(ctx)
		return
	}
	w.wantSlots()
	wrong, err := w.monitor.Tampering(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		w.printError(err)
	case wrong != "":
		if err := w.engine.GuardReplies(ctx); err != nil && ctx.Err() == nil {
			w.printError(err)
		}
		select {
		case newer, more := <-w.rules: // a change during the check
			if more {
				by = newer
			}
		default:
		}
		w.printError(fmt.Errorf("rules changed by %s: %s", by, wrong))
		w.api.tampered(by, wrong)
		if pause := w.backoff.hit(time.Now(), by); pause > 0 {
			w.printError(fmt.Errorf("rules keep being changed; restoring at most every %s", pause))
		}
		w.applyBecause(ctx, "the rules were changed")
	}
}

// withdrawUnserved ends announcements while the rules are missing and are not restored yet.
func (w *watcher) withdrawUnserved(ctx context.Context) {
	if err := w.engine.WithdrawUnserved(ctx); err != nil && ctx.Err() == nil {
		w.printError(err)
	}
}

func (w *watcher) apply(ctx context.Context) { w.applyBecause(ctx, "") }

// applyBecause applies, and logs the outcome. The reason is empty, or forces a load.
func (w *watcher) applyBecause(ctx context.Context, reason string) {
	if ctx.Err() != nil { // the end closes the channels, which looks like an event
		return
	}
	began := time.Now()
	w.busy.Store(&began)
	w.lookAfter = nil
	defer w.busy.Store(nil)
	o := outcome{began: began}
	resume := w.yield()
	o.Plan, o.diagnostics, o.err = w.engine.ApplyBecause(ctx, reason)
	o.Look = w.lookAtOnceOrSoon(ctx, o.Plan)
	resume()
	w.publish(o)
	if ctx.Err() != nil && !o.loaded() && !o.Restored {
		return
	}
	w.remember(ctx, o.err)
	w.plan = o.Plan.Needs()
	if o.loaded() {
		w.farms = o.Script.Farms
	}
	w.wantSlots()
	w.wantHosts()
	w.awaitsConfirm = w.awaitsConfirm || errors.Is(o.err, live.ErrOnTrial) // the trial can end before the next look
	w.retry.schedule(o.err, o.WaitsForPorts())
	w.status = oneLine(o.statusLine())
	w.logOutcome(o)
	w.collect = time.After(afterApply)
}

// yield has the checks of the API wait for the end of a load.
func (w *watcher) yield() (resume func()) {
	if w.api == nil {
		return func() {}
	}
	return w.api.reader.Yield()
}

// readerOf returns the reader of the API, or one without an API.
func (w *watcher) readerOf(api *apiServer) *live.Reader {
	if api != nil {
		return api.reader
	}
	return live.NewReader(w.engine)
}

// publish gives the outcome to the API, and to commands of other processes that read.
func (w *watcher) publish(o outcome) {
	s := w.engine.Publish(w.reader, o.Plan, o.diagnostics, o.err)
	if w.api != nil {
		w.api.observer.looked(s)
	}
}

// publishNow shows readers what a command of another process has done, before that command ends.
func (w *watcher) publishNow() { w.engine.PublishNow(w.reader) }

// remember has the monitor record the rules. An error is logged once, and only if the apply itself succeeded.
func (w *watcher) remember(ctx context.Context, applied error) {
	err := w.monitor.Remember(ctx)
	if err != nil && applied == nil && ctx.Err() == nil && !w.monitorFailed {
		w.printError(fmt.Errorf("cannot monitor the rules: %w", err))
		w.monitorFailed = true
	}
}

// logOutcome logs diagnostics and errors if they differ from the ones logged last, and the result of a load.
func (w *watcher) logOutcome(o outcome) {
	key := o.key()
	changed := key != w.reported
	w.reported = key
	if changed {
		w.reportApply(o.Plan, o.diagnostics, o.err)
	} else {
		w.printLook(o.Look)
	}
	if changed && o.Isolated != nil {
		w.log("%s", live.Abbreviate(o.Isolated))
	}
	switch {
	case errors.Is(o.err, live.ErrOnTrial) && !o.Restored:
	case !o.loaded() && o.Restored:
		w.log("%s", restored(o.Plan))
	case !o.loaded() && changed:
		w.log("the rules that run stay as they are")
	case !o.loaded() || o.UpToDate && !changed && (len(o.Changes) == 0 || errors.Is(o.err, live.ErrUnkept)):
	case len(o.Changes) > 0:
		w.log("%s; %s", live.Abbreviate(farm.Together(o.Changes)), result(o.Plan, time.Since(o.began)))
	default:
		w.log("%s", result(o.Plan, time.Since(o.began)))
	}
}

// maxApply is the time after which an apply is regarded as hung, and systemd may restart the service. A list of 500,000
// networks takes half a minute.
const maxApply = 10 * time.Minute

// keepAlive sends watchdog messages to systemd if it wants them, unless an apply hangs.
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

// A retry is a timer for the next apply after an error that no change of a file ends, such as a full disk, a missing
// nft, or a program that listens on the port of a farm.
type retry struct {
	due   <-chan time.Time
	pause time.Duration
}

// schedule sets the timer after an apply. The pause doubles from a second to a minute.
func (r *retry) schedule(err error, waitsForPorts bool) {
	endsByChange := !waitsForPorts &&
		(errors.Is(err, live.ErrFaulty) || errors.Is(err, live.ErrHeld) || errors.Is(err, live.ErrOnTrial))
	if r.due = nil; err == nil || endsByChange {
		r.pause = 0
		return
	}
	r.pause = min(max(2*r.pause, time.Second), time.Minute)
	r.due = time.After(r.pause)
}

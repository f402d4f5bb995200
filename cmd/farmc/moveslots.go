package main

import (
	"context"
	"time"

	"farmc/cmd/internal/live"
)

// slotPause is the time between two steps that move slots, and restBetweenSteps the same in multiples of the time that
// a step takes: to read a million connections takes a second.
const (
	slotPause        = time.Second
	restBetweenSteps = 4
)

// moveSlots starts the goroutine that moves slots of farms with scheduler least-connections. It sleeps while no such
// farm is loaded.
func (w *watcher) moveSlots(ctx context.Context) {
	mover := w.engine.SlotMover()
	w.services.Go(func() {
		defer w.endSlots(ctx, mover)
		failed := ""
		for more := false; ctx.Err() == nil && (more || w.awaitSlots(ctx)); {
			began := time.Now()
			var err error
			more, err = mover.Step(ctx)
			if failure := errorText(err); failure != failed && ctx.Err() == nil { // each failure is logged once
				if failed = failure; err != nil {
					w.printError(err)
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(max(slotPause, restBetweenSteps*time.Since(began))):
			}
		}
	})
}

// endSlots moves slots back at the end of farmc watch.
func (w *watcher) endSlots(ctx context.Context, mover *live.SlotMover) {
	if err := mover.End(context.WithoutCancel(ctx)); err != nil {
		w.printError(err)
	}
}

// awaitSlots waits until a farm with slots that move may be loaded. It returns false if watch ends.
func (w *watcher) awaitSlots(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-w.slots:
		return true
	}
}

// wantSlots wakes the goroutine of moveSlots, which sleeps again if no farm needs it. w.farms cannot tell: after a
// rollback they are not the ones in the kernel.
func (w *watcher) wantSlots() {
	select {
	case w.slots <- struct{}{}:
	default:
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

package watch

import "time"

// settle sends one signal for many: when they have been quiet and nothing is busy any more, or at the latest when that
// has gone on for too long. It ends, and closes its channel, with theirs.
func settle(changes <-chan struct{}, busy func() bool) <-chan struct{} {
	signal := make(chan struct{}, 1)
	go func() {
		defer close(signal)
		for range changes {
			rest(changes, busy)
			select {
			case signal <- struct{}{}:
			default: // the one before hasn't been received, and stands for this one too
			}
		}
	}()
	return signal
}

// rest returns once there was no change for a while, or changes have gone on for too long, or they end.
func rest(changes <-chan struct{}, busy func() bool) {
	calm, enough := time.NewTimer(quiet), time.NewTimer(latest)
	defer calm.Stop()
	defer enough.Stop()
	for {
		select {
		case _, ok := <-changes:
			if !ok {
				return
			}
			calm.Reset(quiet)
		case <-calm.C:
			if !busy() {
				return
			}
			calm.Reset(quiet)
		case <-enough.C:
			return
		}
	}
}

package watch

import "time"

// settle sends one signal for many: when they have been quiet, or at the latest when they have gone on for too long.
// It ends, and closes its channel, with theirs.
func settle(changes <-chan struct{}) <-chan struct{} {
	signal := make(chan struct{}, 1)
	go func() {
		defer close(signal)
		for range changes {
			rest(changes)
			select {
			case signal <- struct{}{}:
			default: // the one before hasn't been received, and stands for this one too
			}
		}
	}()
	return signal
}

// rest returns once there was no change for a while, or changes have gone on for too long, or they end.
func rest(changes <-chan struct{}) {
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
			return
		case <-enough.C:
			return
		}
	}
}

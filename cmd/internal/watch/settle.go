package watch

import "time"

// settle merges changes into one signal. It sends once there was no change for quietTime and busy gives false, at the
// latest after maxDelay. It closes its channel when changes is closed.
func settle(changes <-chan struct{}, busy func() bool) <-chan struct{} {
	signal := make(chan struct{}, 1)
	go func() {
		defer close(signal)
		for range changes {
			awaitQuiet(changes, busy)
			select {
			case signal <- struct{}{}:
			default: // the signal before was not received yet, and stands for this one, too
			}
		}
	}()
	return signal
}

// awaitQuiet returns when settle may send, or when changes is closed.
func awaitQuiet(changes <-chan struct{}, busy func() bool) {
	calm, enough := time.NewTimer(quietTime), time.NewTimer(maxDelay)
	defer calm.Stop()
	defer enough.Stop()
	for {
		select {
		case _, ok := <-changes:
			if !ok {
				return
			}
			calm.Reset(quietTime)
		case <-calm.C:
			if !busy() {
				return
			}
			calm.Reset(quietTime)
		case <-enough.C:
			return
		}
	}
}

package live

import (
	"context"
	"sync"
)

// A yielding lets loads go first: it stops the check of a request while a load begins, and holds back checks until the
// load has ended. A check by nft takes the same time and the same locks of the kernel as a load.
type yielding struct {
	mu     sync.Mutex
	loaded chan struct{} // closed at the end of the load in progress; nil: no load
	stop   func()        // stops the check in progress; nil: no check
}

// Yield is called at the begin of a load. The returned function is called at its end.
func (y *yielding) Yield() (end func()) {
	y.mu.Lock()
	defer y.mu.Unlock()
	loaded := make(chan struct{})
	y.loaded = loaded
	if y.stop != nil {
		y.stop()
	}
	return func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		y.loaded = nil
		close(loaded)
	}
}

// begin waits until no load is in progress, and returns the context of a check, which the next load cancels.
func (y *yielding) begin(ctx context.Context) (context.Context, error) {
	for {
		y.mu.Lock()
		loaded := y.loaded
		if loaded == nil {
			defer y.mu.Unlock()
			check, stop := context.WithCancel(ctx)
			y.stop = stop
			return check, nil
		}
		y.mu.Unlock()
		select {
		case <-loaded:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// end ends a check.
func (y *yielding) end() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.stop()
	y.stop = nil
}

// maxYields is the number of times that a check begins again after a load. Then the client may try again.
const maxYields = 3

// between runs a check in the time between loads. Only one check runs at a time.
func (y *yielding) between(ctx context.Context, check func(context.Context) (TrialCheck, error)) (TrialCheck, error) {
	for range maxYields {
		own, err := y.begin(ctx)
		if err != nil {
			return TrialCheck{}, err
		}
		result, err := check(own)
		stopped := own.Err() != nil && ctx.Err() == nil
		if y.end(); err == nil || !stopped {
			return result, err
		}
	}
	return TrialCheck{}, ErrBusy
}

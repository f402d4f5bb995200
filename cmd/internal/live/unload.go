package live

import (
	"context"
	"errors"
)

// ErrWatcher reports that a running watch would load the farms again.
var ErrWatcher = errors.New("farmc watch runs, and would load the farms again: systemctl stop farmc-watch")

// Unload removes all rules of farmc from the kernel, after the routes to announced addresses. The last load becomes the
// previous one, and boot.nft is removed, so that neither the next boot nor a later fallback loads farms; Apply and
// Rollback do. A trial and all holds end. The result reports whether the kernel had rules.
func (e *Engine) Unload(ctx context.Context) (bool, error) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return false, err
	}
	defer release()
	e.Store.RemovePending()
	if e.Store.WatcherRuns() {
		return false, ErrWatcher
	}
	if e.Routes != 0 {
		err = e.Routes.Clear()
	}
	had, unloaded := e.Nft.Unload(ctx)
	if err = errors.Join(err, unloaded); err != nil {
		return had, err
	}
	t, err := e.Store.Trial()
	if err != nil {
		return had, err
	}
	return had, e.Store.Unload(t != nil)
}

package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrWatcher reports that a running watch would load the farms again.
var ErrWatcher = errors.New("farmc watch runs, and would load the farms again: systemctl stop farmc-watch")

// Unload removes all rules of farmc from the kernel. The last load becomes the previous one, and boot.nft is removed,
// so that neither the next boot nor a later fallback loads farms; Apply and Rollback do. A trial and all holds end. The
// result reports whether the kernel had rules.
func (e *Engine) Unload(ctx context.Context) (bool, error) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return false, err
	}
	defer release()
	e.Store.removePending()
	if e.Store.WatcherRuns() {
		return false, ErrWatcher
	}
	had, err := e.Nft.Unload(ctx)
	if err != nil {
		return had, err
	}
	t, err := e.Store.Trial()
	if err != nil {
		return had, err
	}
	return had, e.Store.unload(t != nil)
}

// unload makes the last load the previous one, unless it is on trial. The order matters if farmc is killed: without
// boot.nft no boot loads rules, and the next Unload completes the rest.
func (s Store) unload(onTrial bool) error {
	errs := []error{s.remove(bootFile), s.writeJSON(trialFile, nil), s.writeJSON(heldFile, nil), s.remove(factsFile),
		s.remove(countsFile), s.remove(findingsFile)}
	if onTrial {
		return errors.Join(append(errs, s.remove(sourcesFile), s.remove(loadedFile), s.sync())...)
	}
	for _, names := range [][2]string{{sourcesFile, previousZip}, {loadedFile, previousFile}} {
		err := os.Rename(filepath.Join(s.Dir, names[0]), filepath.Join(s.Dir, names[1]))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("state directory: %w", err))
		}
	}
	return errors.Join(append(errs, s.sync())...)
}

func (s Store) remove(name string) error {
	if err := os.Remove(filepath.Join(s.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state directory: %w", err)
	}
	return nil
}

package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Unload makes the last load the previous one, unless it is on trial. The order matters if farmc is killed: without
// boot.nft no boot loads rules, and the next Unload completes the rest.
func (s Store) Unload(onTrial bool) error {
	errs := []error{s.remove(bootFile), s.WriteJSON(TrialFile, nil), s.WriteJSON(HeldFile, nil), s.remove(factsFile),
		s.remove(CountsFile), s.remove(FindingsFile)}
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

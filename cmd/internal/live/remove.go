package live

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

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

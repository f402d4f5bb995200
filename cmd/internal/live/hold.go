package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A hold keeps source files that were rolled back from being loaded again until one changes. It is the content of
// held.json.
type hold struct {
	Sources []string `json:"sources"` // digests of the source files
	Why     string   `json:"why"`
}

// heldBecause returns why the source files with this digest are on hold, or "".
func (s Store) heldBecause(sources string) (string, error) {
	var h hold
	if err := s.readJSON(heldFile, &h); err != nil {
		return "", err
	}
	if slices.Contains(h.Sources, sources) {
		return h.Why, nil
	}
	return "", nil
}

// releaseHold ends a hold of other files than these.
func (s Store) releaseHold(sources string) error {
	why, err := s.heldBecause(sources)
	if err != nil || why != "" {
		return err
	}
	return s.writeJSON(heldFile, nil)
}

// readJSON decodes a file. If the file does not exist, the value stays unchanged.
func (s Store) readJSON(name string, into any) error {
	text, err := os.ReadFile(filepath.Join(s.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		path := filepath.Join(s.Dir, name)
		return fmt.Errorf("%w: %s: %w; rm %s, if another version of farmc wrote it", ErrState, name, err, path)
	}
	return nil
}

// writeJSON replaces a file, or removes it if value is nil.
func (s Store) writeJSON(name string, value any) error {
	path := filepath.Join(s.Dir, name)
	if value == nil {
		err := os.Remove(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("state directory: %w", err)
		}
		return s.sync()
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	if err := s.write(name, text); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+pending, path), s.sync())
}

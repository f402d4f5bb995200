package statedir

import (
	"errors"
	"os"
	"path/filepath"

	"farmc/cmd/internal/source"
)

// A KeptLoad is a load that a rollback can restore.
type KeptLoad struct {
	Sources *source.Files // nil: unknown, because another version of farmc wrote them
	Script  []byte        // the script that was loaded from them, if it is kept; nil otherwise
	Digest  string        // of the script; "": no farms
}

// keptLoad returns a script of the state directory with its source files.
func (s Store) keptLoad(script, archive string) (KeptLoad, error) {
	text, err := s.read(script)
	if err != nil {
		return KeptLoad{}, err
	}
	kept := KeptLoad{Script: text, Digest: digestOf(text)}
	if sources, of := s.sources(archive); of == kept.Digest {
		kept.Sources = sources
	}
	return kept, nil
}

// Previous returns the load before the last one.
func (s Store) Previous() (KeptLoad, error) { return s.keptLoad(previousFile, previousZip) }

// PreviousDigest returns the digest of the script before the last one, or "".
func (s Store) PreviousDigest() (string, error) {
	previous, err := s.Previous()
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return previous.Digest, err
}

// KeptLoadOf returns the last load or the one before it, if its script has the digest.
func (s Store) KeptLoadOf(digest string) (KeptLoad, bool) {
	for _, names := range [][2]string{{loadedFile, sourcesFile}, {previousFile, previousZip}} {
		if kept, err := s.keptLoad(names[0], names[1]); err == nil && kept.Digest == digest {
			return kept, true
		}
	}
	return KeptLoad{}, false
}

// Archived returns the load of an entry of the history, without its script. Sources is nil if it cannot be read.
func (s Store) Archived(h HistoryEntry) KeptLoad {
	sources, of := s.sources(h.Archive())
	return KeptLoad{Sources: sources, Digest: of}
}

// RemovePrevious removes the load before the last one.
func (s Store) RemovePrevious() {
	for _, name := range []string{previousFile, previousZip} {
		os.Remove(filepath.Join(s.Dir, name))
	}
}

// Package journal replaces several files as one step that survives a kill, a power failure and a full disk.
//
// The new texts are written beside the files they replace, and a record of them, the journal, is written to another
// directory. After that a caller can do the work that depends on the texts, such as a load into the kernel. It then
// calls Commit, which renames the new files over the old ones, or Discard, which removes the new files. After a kill
// the next process calls Open and finds the record of the interrupted step; only the caller can tell whether the work
// was done.
//
// The package knows no farms and no rules. journal.go has the entry points, replace.go the files, and record.go the
// content of the journal.
//
// A file that another program changed between the reading of its text and Commit is never overwritten: Commit exchanges
// the old and the new file with renameat2(2), compares the old text, and exchanges them again if it differs. File
// systems without RENAME_EXCHANGE (NFS) leave a gap of microseconds.
package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A Change is the new text of a file, or its removal.
type Change struct {
	Path   string // absolute, without symlinks in its last element
	Text   []byte // nil removes the file
	Before []byte // text that the file must have; nil: the file must not exist
}

// ErrChanged reports that a file no longer has the text that the change was made from.
var ErrChanged = errors.New("another program changed the file")

// A Step is a set of changes that are written beside their files, and not yet in force.
type Step struct {
	record
	journal string // path of the journal; "": there is none
}

// name is the file of the journal in its directory.
const name = "writes.json"

// Prepare writes the new texts and the journal to disk. Token identifies the work that depends on the changes: Open
// returns it after a kill. Without a directory there is no journal, and a kill can leave new files beside the old ones.
// If Prepare fails, all files are as they were.
func Prepare(dir, token string, changes []Change) (*Step, error) {
	s := &Step{record: record{Token: token}}
	if dir != "" {
		s.journal = filepath.Join(dir, name)
	}
	for _, c := range changes {
		if err := c.verify(); err != nil {
			return nil, err
		}
		s.Files = append(s.Files, newReplacement(c))
	}
	// The journal comes first, so that no new file is left without a record of it.
	err := s.save()
	for i := range changes {
		if err == nil {
			err = s.Files[i].create(changes[i].Text)
		}
	}
	if err == nil {
		s.Complete = true
		err = s.save()
	}
	if err != nil {
		return nil, errors.Join(err, s.Discard())
	}
	return s, nil
}

// Open returns the step that a killed process left in the directory, or nil.
func Open(dir string) (*Step, error) {
	s := &Step{journal: filepath.Join(dir, name)}
	err := s.read(s.journal)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, removeFile(s.journal + unfinished) // of a process that was killed before its step began
	case err != nil:
		return nil, err
	}
	return s, nil
}

// Ready reports whether all new files of the step are on disk. A step that is not ready can only be discarded.
func (s *Step) Ready() bool { return s.Complete }

// Paths returns the files that the step replaces or removes.
func (s *Step) Paths() (paths []string) {
	for _, r := range s.Files {
		paths = append(paths, r.Path)
	}
	return paths
}

// Commit puts the new files in the places of the old ones, and removes the journal. Files that another program changed
// since the texts were made keep their text; the error is ErrChanged then, with the other files replaced. Commit can be
// repeated after a kill.
func (s *Step) Commit() error {
	var errs []error
	for _, r := range s.Files {
		if err := r.commit(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.Path, err))
		}
	}
	errs = append(errs, s.syncDirs(), s.remove())
	return errors.Join(errs...)
}

// Verify returns ErrChanged if another program changed one of the files since the texts were made.
func (s *Step) Verify() error {
	for _, r := range s.Files {
		if text, err := readOrAbsent(r.Path); err != nil || !r.isBefore(text) {
			return errors.Join(err, fmt.Errorf("%s: %w", r.Path, ErrChanged))
		}
	}
	return nil
}

// Discard removes the new files and the journal. The old files are as they were.
func (s *Step) Discard() error {
	var errs []error
	for _, r := range s.Files {
		errs = append(errs, removeFile(r.Temporary))
		if r.NewDir {
			os.Remove(filepath.Dir(r.Path)) // fails if another program uses the directory
		}
	}
	return errors.Join(append(errs, s.remove())...)
}

// save writes the journal.
func (s *Step) save() error {
	if s.journal == "" {
		return nil
	}
	return s.write(s.journal)
}

// remove removes the journal.
func (s *Step) remove() error {
	if s.journal == "" {
		return nil
	}
	return errors.Join(removeFile(s.journal+unfinished), removeFile(s.journal))
}

// removeFile removes a file that may be gone already.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A record is the content of the journal.
type record struct {
	Token    string        `json:"token"`
	Complete bool          `json:"complete"` // all new files are on disk
	Files    []replacement `json:"files"`
}

// unfinished is the end of the name of a journal that is not complete.
const unfinished = ".tmp"

// write replaces the journal, and waits until it is on disk.
func (r *record) write(path string) error {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers only
	}
	temporary := path + unfinished
	if err := writeSynced(temporary, text, 0o600); err != nil {
		return err
	}
	return errors.Join(os.Rename(temporary, path), syncDir(filepath.Dir(path)))
}

func (r *record) read(path string) error {
	text, err := readOrAbsent(path)
	if err == nil && text == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, r); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// syncDirs writes the names in all directories of the step to disk.
func (r *record) syncDirs() error {
	var dirs []string
	for _, f := range r.Files {
		dirs = append(dirs, filepath.Dir(f.Path))
	}
	slices.Sort(dirs)
	var errs []error
	for _, dir := range slices.Compact(dirs) {
		errs = append(errs, syncDir(dir))
	}
	return errors.Join(errs...)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeSynced creates or replaces a file, and waits until it is on disk. A file that is not complete is removed.
func writeSynced(path string, text []byte, mode os.FileMode) error {
	removeFile(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, removeFile(path))
	}
	return nil
}

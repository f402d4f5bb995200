package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts files into a directory that is absent or empty. The directory gets all files at once, or none: a kill
// leaves a hidden directory beside it at most. Nothing is overwritten.
func Write(dir string, files []File) error {
	dir = filepath.Clean(dir)
	switch entries, err := os.ReadDir(dir); {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("%s is not empty, so nothing is written; choose a new directory", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(filepath.Dir(dir), ".farmc-import-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	if err := fill(stage, files); err != nil {
		return err
	}
	return os.Rename(stage, dir) // fails if the directory has a file by now
}

// fill writes files to the disk, and makes them and their directory readable.
func fill(dir string, files []File) error {
	for _, f := range files {
		if err := create(filepath.Join(dir, f.Name), f.Text); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o755)
}

func create(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

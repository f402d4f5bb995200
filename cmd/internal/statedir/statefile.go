package statedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/shell"
	"farmc/cmd/internal/source"
)

// ErrState reports that a file of the state directory cannot be parsed.
var ErrState = errors.New("state directory")

// sources returns the source files of an archive in the state directory, and the digest of their script; nil if it
// cannot be read.
func (s Store) sources(name string) (*source.Files, string) {
	packed, err := s.read(name)
	if err != nil {
		return nil, ""
	}
	sources, of, err := source.Unpack(packed)
	if err != nil {
		return nil, ""
	}
	return sources, of
}

// ReadJSON decodes a file. If the file does not exist, the value stays unchanged.
func (s Store) ReadJSON(name string, into any) error {
	text, err := s.read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		path := shell.Path(filepath.Join(s.Dir, name))
		return fmt.Errorf("%w: %s: %w; rm %s, if another version of farmc wrote it", ErrState, name, err, path)
	}
	return nil
}

// SourcesOf returns the source files of the last load; nil if they are not those of the script with this digest.
func (s Store) SourcesOf(digest string) *source.Files {
	if sources, of := s.sources(sourcesFile); of == digest {
		return sources
	}
	return nil
}

// Recall decodes a file that Note wrote, and reports whether that is possible.
func (s Store) Recall(name string, into any) bool {
	text, err := s.read(name)
	return err == nil && json.Unmarshal(text, into) == nil
}

// Open opens a file to read it in parts. A FIFO or a device is an error, because a read of it can wait forever.
func (s Store) Open(name string) (*os.File, error) {
	path := filepath.Join(s.Dir, name)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Note replaces a file that may be lost: an error leaves the old one, and a crash of the machine any one.
func (s Store) Note(name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	s.NoteLines(name, func(file io.Writer) error {
		_, err := file.Write(text)
		return err
	})
}

// NoteLines is Note for a file that is written in parts.
func (s Store) NoteLines(name string, write func(file io.Writer) error) {
	f, err := s.createFrom(name, write)
	if err != nil {
		return
	}
	if f.Close() != nil {
		os.Remove(f.Name())
		return
	}
	os.Rename(f.Name(), filepath.Join(s.Dir, name))
}

// WriteJSON replaces a file, or removes it if value is nil.
func (s Store) WriteJSON(name string, value any) error {
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

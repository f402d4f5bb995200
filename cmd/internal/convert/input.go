package convert

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The bounds of an input.
const (
	MaxInput    = 8 << 20 // bytes of all files together
	MaxLines    = 200_000 // lines of all files together
	maxIncludes = 1000    // files that a configuration includes
)

// Input is the configuration to import.
type Input struct {
	Name  string // the file as the user wrote it, or "standard input"
	Text  []byte
	Files Files // for configurations that include others

	ConfigID  string // of keepalived: lines with the condition @ID count
	Interface string // that clients arrive at, for farms in mode dsr; "": not known
	Marks     string // "keep" or "drop" the marks of backends; "": as the importer thinks
}

// Files finds and reads the files that a configuration includes.
type Files interface {
	// Glob gives the paths that match a pattern, sorted.
	Glob(pattern string) ([]string, error)
	Read(path string) ([]byte, error)
}

// Open reads a file, or standard input for "-".
func Open(name string, stdin io.Reader) (Input, error) {
	disk := &Disk{}
	in := Input{Name: name, Files: disk}
	if name == "-" {
		in.Name = "standard input"
		text, err := disk.limited(stdin)
		in.Text = text
		return in, withName(in.Name, err)
	}
	text, err := disk.Read(name)
	in.Text = text
	return in, err
}

// Disk reads regular files of this machine, of at most MaxInput bytes together.
type Disk struct{ files, bytes int }

// Glob is filepath.Glob.
func (d *Disk) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }

// Read reads a regular file. A FIFO or a device is refused, as it might never end.
func (d *Disk) Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	if d.files++; d.files > maxIncludes+1 {
		return nil, fmt.Errorf("the configuration has more than %d files", maxIncludes)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := d.limited(f)
	return text, withName(path, err)
}

// limited reads to the end, within the bounds.
func (d *Disk) limited(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, int64(MaxInput-d.bytes+1)))
	d.bytes += len(text)
	switch {
	case err != nil:
		return nil, err
	case d.bytes > MaxInput:
		return nil, fmt.Errorf("the configuration has more than %d bytes", MaxInput)
	case strings.Count(string(text), "\n") > MaxLines:
		return nil, fmt.Errorf("more than %d lines", MaxLines)
	}
	return text, nil
}

// Lines gives the lines of the input with their places.
func (in Input) Lines() []Place {
	var lines []Place
	for text := range strings.Lines(string(in.Text)) {
		lines = append(lines, Place{File: in.Name, Line: len(lines) + 1, Text: strings.TrimRight(text, "\r\n")})
	}
	return lines
}

func withName(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

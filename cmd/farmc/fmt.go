package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/journal"
	"farmc/cmd/internal/permission"
	"farmc/compiler/farm"
)

var fmtVerb = verb{
	name:    "fmt",
	args:    "[FILE...]",
	summary: "lay out farm files like the reference",
	about: `Writes the keys and tables of farm files in the order of farms.d(5), with its spacing. Values keep
their spelling, comments move with their keys, and no farm changes. Without FILE, fmt lays out the
farms, drop-ins and defaults in the directories of farms. With - it reads a farm from standard
input and writes it to standard output. It prints the name of each file that it changes.

With --check, nothing is written, and the exit status is 1 if a file would change.`,
	flags: func(c *call) {
		c.set.BoolVar(&c.check, "check", false, "print the files that would change, and change none")
	},
	run: func(_ context.Context, c *call) int {
		if slices.Equal(c.args, []string{"-"}) {
			return c.formatInput()
		}
		files, err := c.filesToFormat()
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		status := exitOK
		for _, file := range files {
			switch changes, err := c.formatFile(file); {
			case err != nil:
				status = c.formatFailed(err)
			case changes && c.check:
				status = exitFailure
			}
		}
		return status
	},
}

// formatInput lays out standard input.
func (c *call) formatInput() int {
	text, err := io.ReadAll(io.LimitReader(os.Stdin, farm.MaxFarmSize+1))
	if err == nil {
		text, err = formatted("standard input", text)
	}
	if err == nil {
		_, err = c.stdout.Write(text)
	}
	if err != nil {
		return c.formatFailed(err)
	}
	return exitOK
}

// formatFailed prints each fault on a line of its own.
func (c *call) formatFailed(err error) int {
	for line := range strings.Lines(err.Error()) {
		c.printError(errors.New(line))
	}
	return exitFailure
}

// filesToFormat returns the files of the command line, or all farm files of the directories.
func (c *call) filesToFormat() ([]string, error) {
	if len(c.args) > 0 {
		return c.args, nil
	}
	var files []string
	for _, dir := range c.dirPaths() {
		found, err := farmFilesIn(dir)
		if err != nil && (len(c.dirs) > 0 || !errors.Is(err, os.ErrNotExist)) {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}

// farmFilesIn returns the farms, the defaults and the drop-ins in a directory.
func farmFilesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var files []string
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch info, err := os.Stat(path); {
		case strings.HasPrefix(entry.Name(), ".") || err != nil:
		case info.Mode().IsRegular() && strings.HasSuffix(path, ".toml"):
			files = append(files, path)
		case info.IsDir() && strings.HasSuffix(path, ".toml.d"):
			dropIns, err := farmFilesIn(path)
			if err != nil {
				return nil, err
			}
			files = append(files, dropIns...)
		}
	}
	return files, err
}

// formatFile lays out a file and reports whether that changes it.
func (c *call) formatFile(name string) (bool, error) {
	path, err := filepath.EvalSymlinks(name) // a link stays
	if err != nil {
		return false, err
	}
	before, err := c.readFarmFile(path)
	if err != nil {
		return false, err
	}
	after, err := formatted(name, before)
	if err != nil || string(after) == string(before) {
		return false, err
	}
	if !c.check {
		if err := journal.Replace(journal.Change{Path: path, Text: after, Before: before}); err != nil {
			return true, fmt.Errorf("%s: %w", name, err)
		}
	}
	fmt.Fprintln(c.stdout, oneLine(name))
	return true, nil
}

// readFarmFile reads a file that only this user and root can write to: for another user's file, or in another user's
// directory, root would write what that user chooses.
func (c *call) readFarmFile(path string) ([]byte, error) {
	f, err := permission.Open(path, c.insecure || os.Geteuid() != 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, farm.MaxFarmSize+1))
}

// formatted lays out a text. The error has all faults, a line for each.
func formatted(name string, text []byte) ([]byte, error) {
	if len(text) > farm.MaxFarmSize {
		return nil, fmt.Errorf("%s has more than %d bytes, which no farm has", name, farm.MaxFarmSize)
	}
	after, faults := edit.Format(text)
	var all []error
	for _, f := range faults {
		all = append(all, fmt.Errorf("%s:%s", name, f))
	}
	return after, errors.Join(all...)
}

package manage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"farmc/cmd/internal/source"
)

// Directories below the state directory.
const (
	deletedDir = "deleted" // copies of files that programs deleted or replaced: NAME.TIME
	writtenDir = "written" // for each farm that a program wrote, the digest of its file
)

// maxDeleted is the number of copies that are kept.
const maxDeleted = 1000

// keep returns the change that makes a copy of a file that goes.
func (t *target) keep(file string, text []byte) source.Change {
	name := path.Base(file)
	if dir := path.Base(path.Dir(file)); strings.HasSuffix(dir, ".toml.d") {
		name = dir + "-" + name
	}
	at := time.Now().UTC().Format("20060102T150405.000000000Z")
	return source.Change{Path: t.State(path.Join(deletedDir, name+"."+at)), Text: text}
}

// remove returns the changes that remove all files of the farm.
func (t *target) remove() (changes []source.Change, err error) {
	for _, file := range t.All(t.name + ".toml") {
		if err := t.writable(file); err != nil {
			return nil, err
		}
		text, err := t.Read(file)
		if err != nil {
			return nil, Blocked{err.Error()}
		}
		changes = append(changes, source.Change{Path: file, Before: text}, t.keep(file, text))
	}
	for _, file := range t.DropIns(t.name) {
		if changes, err = t.removeDropIn(changes, file); err != nil {
			return nil, err
		}
	}
	changes = append(changes, t.outdated()...)
	if changes, err = t.unrecorded(changes); err != nil {
		return nil, err
	}
	return t.forgetEnds(changes)
}

// removeDropIn adds the removal of a drop-in that a program wrote: one in the last of several directories, which a
// reboot empties, or one of farmc's own.
func (t *target) removeDropIn(changes []source.Change, file string) ([]source.Change, error) {
	text, err := t.Read(file)
	if err != nil || text == nil {
		return changes, nil // a directory, or a file that is gone
	}
	dirs := t.Dirs()
	own := isOwnDropIn(text)
	dir := path.Dir(path.Dir(file))
	if t.IsReadOnly(dir) || !own && (len(dirs) == 1 || dir != path.Clean(dirs[len(dirs)-1])) {
		return changes, nil
	}
	if !own {
		changes = append(changes, t.keep(file, text))
	}
	return append(changes, source.Change{Path: file, Before: text}), nil
}

// isOwnDropIn reports whether farmc wrote a drop-in, as farmc drain does.
func isOwnDropIn(text []byte) bool { return bytes.HasPrefix(text, []byte("# Written by farmc ")) }

// removeOwn adds the removal of farmc's own drop-ins about a backend: its state, its weight and its health words.
func (t *target) removeOwn(changes []source.Change, backend string) ([]source.Change, error) {
	for _, name := range source.OwnDropIns(t.name, backend) {
		for _, file := range t.All(name) {
			text, err := t.Read(file)
			if err == nil && isOwnDropIn(text) && !t.IsReadOnly(path.Dir(path.Dir(file))) {
				changes = append(changes, source.Change{Path: file, Before: text})
			}
		}
	}
	return t.forgetEnds(changes)
}

// forgetEnds adds the change that forgets the ends of the drop-ins that the changes remove.
func (t *target) forgetEnds(changes []source.Change) ([]source.Change, error) {
	var names []string
	for _, c := range changes {
		if c.Text == nil && source.IsDropIn(c.Path) {
			names = append(names, path.Join(path.Base(path.Dir(c.Path)), path.Base(c.Path)))
		}
	}
	more, err := t.ForgetEnds(names)
	return append(changes, more...), err
}

// outdated returns the removals of the oldest copies if there are too many.
func (t *target) outdated() (changes []source.Change) {
	entries, _ := os.ReadDir(t.State(deletedDir)) // without a directory there are none
	type copied struct{ name, time string }
	oldest := copied{}
	for _, e := range entries {
		if at := strings.LastIndexByte(strings.TrimSuffix(e.Name(), "Z"), 'T'); at > 8 {
			c := copied{e.Name(), e.Name()[at-8:]}
			if oldest.name == "" || c.time < oldest.time {
				oldest = c
			}
		}
	}
	if len(entries) < maxDeleted || oldest.name == "" {
		return nil
	}
	file := t.State(path.Join(deletedDir, oldest.name))
	text, err := t.Read(file)
	if err != nil || text == nil {
		return nil
	}
	return []source.Change{{Path: file, Before: text}}
}

// record returns the path of the record of the farm's file.
func (t *target) record() string { return t.State(path.Join(writtenDir, t.name)) }

// writtenHere reports whether the file is as a program wrote it last, through this package.
func (t *target) writtenHere() bool {
	known, err := os.ReadFile(t.record())
	return err == nil && t.exists() && string(known) == recordOf(t.text)
}

// recorded adds the record of the new text of the farm's file.
func (t *target) recorded(changes []source.Change, text []byte) ([]source.Change, error) {
	before, err := t.Read(t.record())
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return append(changes, source.Change{Path: t.record(), Text: []byte(recordOf(text)), Before: before}), nil
}

// unrecorded adds the removal of the record.
func (t *target) unrecorded(changes []source.Change) ([]source.Change, error) {
	before, err := t.Read(t.record())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if before == nil {
		return changes, nil
	}
	return append(changes, source.Change{Path: t.record(), Before: before}), nil
}

func recordOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]) + "\n"
}

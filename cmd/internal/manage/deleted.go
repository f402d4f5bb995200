package manage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
)

// Directories below the state directory.
const (
	deletedDir = "deleted" // copies of files that programs deleted or replaced: NAME.TIME
	writtenDir = "written" // for each farm NAME, and list @NAME, that a program wrote, the digest of its file
)

// maxDeleted is the number of copies that are kept.
const maxDeleted = 1000

// keep returns the change that makes a copy of a file that goes.
func keep(files live.Files, file string, text []byte) source.Change {
	name := path.Base(file)
	if dir := path.Base(path.Dir(file)); strings.HasSuffix(dir, ".toml.d") {
		name = dir + "-" + name
	}
	at := time.Now().UTC().Format("20060102T150405.000000000Z")
	return source.Change{Path: files.State(path.Join(deletedDir, name+"."+at)), Text: text}
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
		changes = append(changes, source.Change{Path: file, Before: text}, keep(t.Files, file, text))
	}
	for _, file := range t.DropIns(t.name) {
		if changes, err = t.removeDropIn(changes, file); err != nil {
			return nil, err
		}
	}
	changes = limitCopies(t.Files, changes)
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
		changes = append(changes, keep(t.Files, file, text))
	}
	return append(changes, source.Change{Path: file, Before: text}), nil
}

// isOwnDropIn reports whether farmc wrote a drop-in, as farmc drain does.
func isOwnDropIn(text []byte) bool { return bytes.HasPrefix(text, []byte("# Written by farmc ")) }

// removeOwn adds the removal of farmc's own drop-ins about a backend: its state, its weight and its health words.
func (t *target) removeOwn(changes []source.Change, backend string) ([]source.Change, error) {
	names := source.OwnDropIns(t.name, backend)
	for _, address := range t.addressNames(backend) {
		names = append(names, source.OwnDropIns(t.name, address)...)
	}
	for _, name := range names {
		for _, file := range t.All(name) {
			text, err := t.Read(file)
			if err == nil && isOwnDropIn(text) && !t.IsReadOnly(path.Dir(path.Dir(file))) {
				changes = append(changes, source.Change{Path: file, Before: text})
			}
		}
	}
	return t.forgetEnds(changes)
}

// addressNames returns the names of the addresses of a backend with a hostname.
func (t *target) addressNames(backend string) (names []string) {
	f, err := t.Farm(t.name, backend)
	if err != nil || f.HostOf(backend) == nil {
		return nil
	}
	for _, b := range f.Named(backend) {
		names = append(names, b.Name)
	}
	return names
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

// limitCopies adds the removals of the oldest copies to changes that make new ones, if there would be too many.
func limitCopies(files live.Files, changes []source.Change) []source.Change {
	dir := files.State(deletedDir)
	entries, _ := os.ReadDir(dir) // without a directory there are none
	more := len(entries) - maxDeleted
	for _, c := range changes {
		if path.Dir(c.Path) == dir {
			more++
		}
	}
	var names []string
	for _, e := range entries {
		if timeOfCopy(e.Name()) != "" {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(timeOfCopy(a), timeOfCopy(b)) })
	for _, name := range names[:min(max(more, 0), len(names))] {
		if text, err := files.Read(path.Join(dir, name)); err == nil && text != nil {
			changes = append(changes, source.Change{Path: path.Join(dir, name), Before: text})
		}
	}
	return changes
}

// timeOfCopy returns the time in the name of a copy; "" for another file.
func timeOfCopy(name string) string {
	if at := strings.LastIndexByte(strings.TrimSuffix(name, "Z"), 'T'); at > 8 {
		return name[at-8:]
	}
	return ""
}

// record returns the path of the record of the farm's file.
func (t *target) record() string { return t.State(path.Join(writtenDir, t.name)) }

// writtenHere reports whether the file is as a program wrote it last, through this package.
func (t *target) writtenHere() bool { return t.exists() && isRecorded(t.Files, t.record(), t.text) }

// isRecorded reports whether a record is that of a text.
func isRecorded(files live.Files, record string, text []byte) bool {
	known, err := files.Read(record)
	return err == nil && string(known) == recordOf(text)
}

// recorded adds the record of the new text of the farm's file.
func (t *target) recorded(changes []source.Change, text []byte) ([]source.Change, error) {
	return setRecord(t.Files, changes, t.record(), []byte(recordOf(text)))
}

// unrecorded adds the removal of the record.
func (t *target) unrecorded(changes []source.Change) ([]source.Change, error) {
	return setRecord(t.Files, changes, t.record(), nil)
}

// setRecord adds the change of a record; nil removes it.
func setRecord(files live.Files, changes []source.Change, record string, text []byte) ([]source.Change, error) {
	before, err := files.Read(record)
	switch {
	case err != nil:
		return nil, fmt.Errorf("state directory: %w", err)
	case before == nil && text == nil:
		return changes, nil
	}
	return append(changes, source.Change{Path: record, Text: text, Before: before}), nil
}

func recordOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]) + "\n"
}

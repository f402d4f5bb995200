package manage

import (
	"bytes"
	"reflect"
	"strings"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// PutFarm creates a farm in the first directory, or replaces the text of its file. A file that has the keys already
// keeps its text. If a person wrote the file, a copy goes to the state directory. Values that the document has from a
// drop-in, because the client read them there, are left to the drop-in.
func PutFarm(name string, document edit.Document, when Condition) live.Write {
	w := write(name, document, func(t *target) ([]source.Change, error) {
		if err := t.admit(when, t.document()); err != nil {
			return nil, err
		}
		own := document
		if t.exists() {
			own = t.withoutDropIns(document)
		}
		if old, faults := edit.Read(t.text); t.exists() && len(faults) == 0 && reflect.DeepEqual(old, own) {
			return nil, nil
		}
		text, faults := edit.Write(own)
		if len(faults) > 0 {
			return nil, Faulty{Faults: faults}
		}
		changes := []source.Change{{Path: t.path, Text: text, Before: t.text}}
		if t.exists() && !t.writtenHere() {
			changes = limitCopies(t.Files, append(changes, keep(t.Files, t.path, t.text)))
		}
		return t.recorded(changes, text)
	})
	w.Sets = nil // the whole text is new
	return w
}

// PatchFarm edits the file of a farm in place by a JSON merge patch. All bytes outside of the named keys stay.
func PatchFarm(name string, patch edit.Document, when Condition) live.Write {
	return write(name, patch, func(t *target) ([]source.Change, error) {
		if !t.exists() {
			return nil, Missing{"farm"}
		}
		if err := t.admit(when, t.document()); err != nil {
			return nil, err
		}
		return t.patch(patch)
	})
}

// DeleteFarm removes the files of a farm in all directories, and keeps copies in the state directory. The drop-ins that
// farmc wrote, and those of other programs for this boot, go as well; others stay, and the diagnostics name them.
func DeleteFarm(name string, when Condition) live.Write {
	w := write(name, nil, func(t *target) ([]source.Change, error) {
		if !t.exists() {
			return nil, Missing{"farm"}
		}
		if err := t.admit(when, t.document()); err != nil {
			return nil, err
		}
		return t.remove()
	})
	w.InForce = func(r *farm.Reading) error {
		if r != nil {
			return Blocked{r.Sources()[0] + " still has the farm"}
		}
		return nil
	}
	return w
}

// write returns a write to the files of a farm. The document has the keys that must be in force.
func write(name string, document edit.Document, changes func(*target) ([]source.Change, error)) live.Write {
	return live.Write{
		Item: name + ".toml",
		Changes: func(files live.Files) ([]source.Change, error) {
			t, err := find(files, name)
			if err != nil {
				return nil, err
			}
			return changes(t)
		},
		InForce: func(r *farm.Reading) error { return inForce(document, r) },
		Sets:    func(key string) bool { return sets(document, strings.Split(key, ".")) },
	}
}

// patch returns the changes of a merge patch to the farm's file.
func (t *target) patch(patch edit.Document) ([]source.Change, error) {
	if _, faults := edit.Read(t.text); len(faults) > 0 {
		return nil, Faulty{File: t.path, Faults: faults}
	}
	text, faults := edit.Patch(t.text, patch)
	if len(faults) > 0 {
		return nil, Faulty{Faults: faults}
	}
	if bytes.Equal(text, t.text) {
		return nil, nil
	}
	changes := []source.Change{{Path: t.path, Text: text, Before: t.text}}
	if !t.writtenHere() {
		return changes, nil
	}
	return t.recorded(changes, text)
}

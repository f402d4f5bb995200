package manage

import (
	"encoding/json"
	"fmt"
	"path"

	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
)

// A target is a farm that a write changes.
type target struct {
	live.Files
	name    string
	path    string        // of the farm's file, also of one that does not exist yet
	text    []byte        // nil: there is no such file
	reading *farm.Reading // nil: there is no such farm
}

// find returns the farm of a name, which need not exist. A name that no farm can have belongs to no farm.
func find(files live.Files, name string) (*target, error) {
	if !farm.IsName(name) {
		return nil, Missing{"farm"}
	}
	t := &target{Files: files, name: name, reading: files.Reading(name)}
	if mask := files.Mask(name); mask != "" && t.reading == nil {
		return nil, Blocked{fmt.Sprintf("farm %s is masked: %s is a link to /dev/null", name, mask)}
	}
	var err error
	if t.path, t.text, err = files.Find(name + ".toml"); err != nil {
		return nil, Blocked{err.Error()}
	}
	if t.text == nil {
		t.path = files.Dirs()[0] + "/" + name + ".toml"
	}
	return t, nil
}

func (t *target) exists() bool { return t.text != nil }

// document returns the keys of the farm's file and its drop-ins; nil if there is no farm.
func (t *target) document() json.RawMessage {
	if !t.exists() {
		return nil
	}
	return DocumentOf(t.reading)
}

// DocumentOf returns the keys of a farm's file and its drop-ins, "null" if the file is not TOML. Conditions and ETags
// are about this text.
func DocumentOf(r *farm.Reading) json.RawMessage {
	if r == nil || r.Document() == nil {
		return json.RawMessage("null")
	}
	return r.Document()
}

// admit returns why the farm's file must not be changed: the condition, or its directory.
func (t *target) admit(when Condition, now json.RawMessage) error {
	if err := when(now); err != nil {
		return err
	}
	return t.writable(t.path)
}

// writable returns an error for a file in a directory that programs must not write to.
func (t *target) writable(file string) error {
	if dir := path.Dir(file); t.IsReadOnly(dir) {
		return Blocked{fmt.Sprintf("farm %s is in %s, which is read-only for programs", t.name, dir)}
	}
	return nil
}

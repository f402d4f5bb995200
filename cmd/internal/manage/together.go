package manage

import (
	"bytes"
	"slices"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// Together returns one write that makes the changes of several ones, which concern different files, or none of them.
func Together(writes []live.Write) live.Write {
	all := live.Write{Item: writes[0].Item}
	for _, w := range writes[1:] {
		all.Also = append(all.Also, w.Item)
	}
	all.Changes = func(files live.Files) (changes []source.Change, err error) {
		for _, w := range writes {
			more, err := w.Changes(files)
			if err != nil {
				return nil, err
			}
			changes = append(changes, more...)
		}
		return changes, nil
	}
	if slices.ContainsFunc(writes, func(w live.Write) bool { return w.InForce != nil }) {
		all.InForce = func(*farm.Reading) error { return nil } // Fits asks each of the writes
	}
	all.Alone = slices.ContainsFunc(writes, func(w live.Write) bool { return w.Alone })
	all.Fits = func(farms live.Readings) error {
		for _, w := range writes {
			if err := fits(w, farms); err != nil {
				return err
			}
		}
		return nil
	}
	return all
}

// fits returns why one of several writes does not have its effect, or why the farms of the files do not permit it.
func fits(w live.Write, farms live.Readings) error {
	if w.InForce != nil {
		reading, _ := farms.Find(source.FarmOf(w.Item))
		if err := w.InForce(reading); err != nil {
			return err
		}
	}
	if w.Fits != nil {
		return w.Fits(farms)
	}
	return nil
}

// PutFile returns a write of a file beside the farms that farmc does not read. A nil text removes it.
func PutFile(path, name string, text []byte) live.Write {
	return live.Write{Item: name, Changes: func(files live.Files) ([]source.Change, error) {
		before, err := files.Read(path)
		if err != nil || bytes.Equal(before, text) && (before == nil) == (text == nil) {
			return nil, err
		}
		return []source.Change{{Path: path, Text: text, Before: before}}, nil
	}}
}

package manage

import (
	"bytes"
	"fmt"
	"path/filepath"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A ListChange changes the file of a list. It exists until one load, and then tells its effect.
type ListChange struct {
	Name   string
	Admit  func(before []byte) error // nil: any text before; else the error of a text that the change is not made from
	Whole  []byte                    // the new text; nil: Add and Remove change it
	Delete bool

	Add, Remove []string // networks, without comments

	added, removed int
}

// Write returns the write of the list. A new list goes to the first directory, and a list that a farm names cannot be
// deleted.
func (c *ListChange) Write() live.Write {
	w := live.Write{Item: c.Name + ".list", Changes: c.changes}
	if c.Delete {
		w.Fits, w.Alone = c.unused, true
	}
	return w
}

// unused returns an error if a farm names the list.
func (c *ListChange) unused(farms live.Readings) error {
	for _, r := range farms {
		if f := r.Farm(); f != nil && f.Access.Names(c.Name) {
			return Blocked{fmt.Sprintf("farm %s uses the list", r.Name())}
		}
	}
	return nil
}

// Words tells the effect of the change, after the load.
func (c *ListChange) Words() []string {
	words := []string{}
	for _, n := range []struct {
		count int
		what  string
	}{{c.added, "added"}, {c.removed, "removed"}} {
		if n.count > 0 {
			words = append(words, fmt.Sprintf("entries %s: %d", n.what, n.count))
		}
	}
	return words
}

func (c *ListChange) changes(files live.Files) ([]source.Change, error) {
	path, before, err := files.Find(c.Name + ".list")
	if err == nil && c.Admit != nil {
		err = c.Admit(before)
	}
	if path == "" {
		path = files.Dirs()[0] + "/" + c.Name + ".list"
	}
	if dir := filepath.Dir(path); err == nil && files.IsReadOnly(dir) {
		err = Blocked{fmt.Sprintf("list %s is in %s, which is read-only for programs", c.Name, dir)}
	}
	switch {
	case err != nil:
		return nil, err
	case c.Delete:
		return c.replace(files, path, before, nil)
	case c.Whole != nil:
		return c.replace(files, path, before, c.Whole)
	}
	return c.replace(files, path, before, c.edit(before))
}

// replace returns the changes that give the file the text; nil removes it. A text that goes as a whole is kept, unless
// a program wrote it and sends another one.
func (c *ListChange) replace(files live.Files, path string, before, text []byte) ([]source.Change, error) {
	if text != nil && before != nil && bytes.Equal(before, text) {
		return nil, nil
	}
	record := files.State(filepath.Join(writtenDir, "@"+c.Name)) // no farm has this name
	own := isRecorded(files, record, before)
	changes := []source.Change{{Path: path, Text: text, Before: before}}
	if before != nil && (c.Delete || c.Whole != nil && !own) {
		changes = limitCopies(files, append(changes, keep(files, path, before)))
	}
	switch {
	case c.Delete:
		return setRecord(files, changes, record, nil)
	case c.Whole != nil, own:
		return setRecord(files, changes, record, []byte(recordOf(text)))
	}
	return changes, nil
}

// edit returns the text with added and without removed entries. The other lines keep every byte.
func (c *ListChange) edit(before []byte) []byte {
	c.added, c.removed = 0, 0
	gone, present := networks(c.Remove), map[addr.Network]bool{}
	out := bytes.NewBuffer(make([]byte, 0, len(before)+20*len(c.Add)))
	for line := range bytes.Lines(before) {
		n, isEntry := entryOf(line)
		if isEntry && gone[n] {
			c.removed++
			continue
		}
		present[n] = present[n] || isEntry
		out.Write(line)
	}
	if out.Len() > 0 && out.Bytes()[out.Len()-1] != '\n' && len(c.Add) > 0 {
		out.WriteByte('\n')
	}
	for _, word := range c.Add {
		if n, err := addr.ParseNetwork(word); err == nil && !present[n] {
			present[n] = true
			c.added++
			out.WriteString(word + "\n")
		}
	}
	if out.Len() == 0 && len(before) > 0 {
		out.WriteString("# no entries\n") // an empty file is a fault: an editor may have been stopped
	}
	return out.Bytes()
}

// networks returns the set of the networks.
func networks(words []string) map[addr.Network]bool {
	out := map[addr.Network]bool{}
	for _, word := range words {
		if n, err := addr.ParseNetwork(word); err == nil {
			out[n] = true
		}
	}
	return out
}

// entryOf returns the network of a line.
func entryOf(line []byte) (addr.Network, bool) {
	n, err := addr.ParseNetwork(farm.ListEntry(line))
	return n, err == nil
}

// Package reference reads farms.d/reference.toml, the file that explains every key of farms.
//
// The package knows the form of that file: lines of keys, their comments beside and above, tables. It does not know
// types, bounds or modes, which package farm has.
package reference

import (
	"regexp"
	"strings"

	farmsd "farmc/farms.d"
)

// A Table is a table of a farm with its keys; the first one is the farm itself and has no name.
type Table struct {
	Name, About string
	Keys        []Key
}

// A Key is a line of the reference: the key with a value, and its meaning, in short and at length.
type Key struct {
	Name, Value  string
	Short, About string
}

var (
	tableLine        = regexp.MustCompile(`^#?\[([a-z][a-z0-9.-]*)\](?: +# (.*))?$`)
	keyLine          = regexp.MustCompile(`^#?([a-z][a-z-]*) = (.*?)(?:\s{2,}# (.*))?$`)
	continuationLine = regexp.MustCompile(`^\s+# (.*)$`)
	commentLine      = regexp.MustCompile(`^# ?(.*)$`)
)

// Tables gives the tables of the reference with their keys.
func Tables() []Table { return read(farmsd.Reference) }

// read reads the text of the reference. A comment speaks of the line below it; the first one, of all farms.
func read(text string) []Table {
	tables := []Table{{}}
	var comment []string
	takeComment := func() string {
		s := strings.Join(comment, "\n")
		comment = nil
		return s
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		t := &tables[len(tables)-1]
		if at := tableLine.FindStringSubmatch(line); at != nil {
			tables = append(tables, Table{Name: at[1], About: strings.TrimSpace(takeComment() + "\n" + at[2])})
		} else if at := keyLine.FindStringSubmatch(line); at != nil {
			t.Keys = append(t.Keys, Key{at[1], at[2], at[3], takeComment()})
		} else if at := continuationLine.FindStringSubmatch(line); at != nil && len(t.Keys) > 0 {
			k := &t.Keys[len(t.Keys)-1]
			k.Short = strings.TrimSpace(k.Short + "\n" + at[1])
		} else if at := commentLine.FindStringSubmatch(line); at != nil {
			comment = append(comment, at[1])
		} else if len(tables) == 1 && len(t.Keys) == 0 && t.About == "" {
			t.About = takeComment()
		}
	}
	return tables
}

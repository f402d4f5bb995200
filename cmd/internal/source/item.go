package source

import (
	"path"
	"strings"

	"farmc/compiler/farm"
)

// Item returns the file name of the farm or list that a file is part of, or "". The files of defaults of all
// directories are one item.
func Item(file string) string {
	if name, ok := strings.CutSuffix(path.Base(path.Dir(file)), ".toml.d"); ok {
		return name + ".toml"
	}
	name := path.Base(file)
	if of, ok := strings.CutSuffix(name, ".toml.d"); ok { // a directory of drop-ins that cannot be read
		return of + ".toml"
	}
	if strings.HasSuffix(name, ".toml") || strings.HasSuffix(name, ".list") {
		return name
	}
	return ""
}

// ItemWords returns "farm web" for the item "web.toml", "list office" for "office.list", and the name of the file for
// defaults.
func ItemWords(item string) string {
	if name, isList := strings.CutSuffix(item, ".list"); isList {
		return "list " + name
	}
	if item == farm.DefaultsFile {
		return item
	}
	return "farm " + strings.TrimSuffix(item, ".toml")
}

// FarmOf returns the name of the farm that an item is, or "".
func FarmOf(item string) string {
	name, isFarm := strings.CutSuffix(item, ".toml")
	if !isFarm || item == farm.DefaultsFile {
		return ""
	}
	return name
}

// IsDropIn reports whether a file is a drop-in by its path.
func IsDropIn(file string) bool {
	return strings.Contains(file, ".toml.d/") && // is quick to tell: of 10,000 files few are drop-ins
		strings.HasSuffix(path.Dir(file), ".toml.d") && strings.HasSuffix(file, ".toml")
}

// IsAnswers reports whether the file has the answers of DNS about hostnames. It is part of no farm: a change of answers
// is no edit.
func (f File) IsAnswers() bool { return f.Name == farm.AnswersFile }

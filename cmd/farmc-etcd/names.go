package main

import "regexp"

// name is the rule for names of farms, lists and drop-ins, see farms.d(5).
const name = `[A-Za-z0-9][A-Za-z0-9_.-]{0,95}`

// fileNames are the paths that files of farms have below their directory.
var fileNames = regexp.MustCompile(`^(?:_defaults\.toml|` +
	name + `\.toml(?:\.incomplete)?|` + name + `\.list|` + name + `\.toml\.d/` + name + `\.toml)$`)

// isFileName reports whether a key below a prefix can be a file of farms. Every other key could be a path that leads
// out of the directory.
func isFileName(key string) bool { return fileNames.MatchString(key) }

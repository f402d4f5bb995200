package source

import (
	"path"
	"strings"
)

// Item returns the file name of the farm or list that a file is part of, or "".
func Item(file string) string {
	if farm, ok := strings.CutSuffix(path.Base(path.Dir(file)), ".toml.d"); ok {
		return farm + ".toml"
	}
	name := path.Base(file)
	if farm, ok := strings.CutSuffix(name, ".toml.d"); ok { // a directory of drop-ins that cannot be read
		return farm + ".toml"
	}
	if strings.HasSuffix(name, ".toml") || strings.HasSuffix(name, ".list") {
		return name
	}
	return ""
}

// IsDropIn reports whether a file is a drop-in by its path.
func IsDropIn(file string) bool {
	return strings.HasSuffix(path.Dir(file), ".toml.d") && strings.HasSuffix(file, ".toml")
}

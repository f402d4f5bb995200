package main

import (
	"strings"
	"testing"
)

// TestFileNames: keys are names that farmc reads, and paths that stay in the directory.
func TestFileNames(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"web.toml":                         true,
		"web.toml.incomplete":              true,
		"bad.list":                         true,
		"web.toml.d/state.toml":            true,
		"_defaults.toml":                   true,
		strings.Repeat("a", 96) + ".toml":  true,
		strings.Repeat("a", 97) + ".toml":  false,
		"":                                 false,
		"_other.toml":                      false,
		".web.toml":                        false,
		"../x.toml":                        false,
		"/web.toml":                        false,
		"web.toml.d/../../x.toml":          false,
		"web.toml.d/a/b.toml":              false,
		"web.toml.d/state.toml.incomplete": false,
		"web.toml/state.toml":              false,
		"web.toml\n":                       false,
		"a b.toml":                         false,
		"web.sh":                           false,
	} {
		if got := isFileName(key); got != want {
			t.Errorf("%q is a file name: %v, want %v", key, got, want)
		}
	}
}

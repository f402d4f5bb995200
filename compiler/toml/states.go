package toml

import (
	"bytes"
	"slices"

	burntsushi "github.com/BurntSushi/toml"

	"farmc/compiler/diag"
)

// OnlyStates reports whether the text of a drop-in sets states of backends, or how much of their weights counts, and
// nothing else. An empty text does, a text that cannot be parsed does not.
func OnlyStates(text []byte) bool { return setsOnly(text, "state", "weight-percent") }

// OnlyWeights reports whether the text of a drop-in sets weights of backends, and nothing else.
func OnlyWeights(text []byte) bool { return setsOnly(text, "weight") }

// setsOnly reports whether the text sets nothing but these keys of backends.
func setsOnly(text []byte, allowed ...string) bool {
	var top map[string]any
	if len(text) > maxStates || burntsushi.Unmarshal(text, &top) != nil {
		return false
	}
	for key, value := range top {
		backends, isTable := value.(map[string]any)
		if key != "backends" || !isTable {
			return false
		}
		for _, b := range backends {
			if keys, isTable := b.(map[string]any); !isTable || !hasOnly(keys, allowed) {
				return false
			}
		}
	}
	return true
}

// hasOnly reports whether a backend has at least one key, and none that is not allowed.
func hasOnly(backend map[string]any, allowed []string) bool {
	for key := range backend {
		if !slices.Contains(allowed, key) {
			return false
		}
	}
	return len(backend) > 0
}

// Restricts reports whether the text of a drop-in sets, or seems to set, which clients a farm takes: a top key is
// access or limits, or a misspelling of one. A text that cannot be parsed restricts if it has one of their words.
func Restricts(text []byte) bool {
	var top map[string]any
	if len(text) > maxStates || burntsushi.Unmarshal(text, &top) != nil {
		return slices.ContainsFunc([]string{"access", "limits", "allow", "deny", "per-client"},
			func(word string) bool { return bytes.Contains(bytes.ToLower(text), []byte(word)) })
	}
	for key := range top {
		if diag.Nearest(key, []string{"access", "limits"}) != "" {
			return true
		}
	}
	return false
}

// maxStates is the size of the largest text that OnlyStates and Restricts parse, in bytes: some 1,000 backends.
const maxStates = 64 << 10

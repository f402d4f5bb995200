package toml

import burntsushi "github.com/BurntSushi/toml"

// OnlyStates reports whether the text of a drop-in sets states of backends and nothing else. An empty text does, a text
// that cannot be parsed does not.
func OnlyStates(text []byte) bool {
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
			keys, isTable := b.(map[string]any)
			if _, hasState := keys["state"]; !isTable || !hasState || len(keys) != 1 {
				return false
			}
		}
	}
	return true
}

// maxStates is the size of the largest text that OnlyStates parses, in bytes: some 1,000 backends.
const maxStates = 64 << 10

package toml

import burntsushi "github.com/BurntSushi/toml"

// OnlyStates reports whether the text of a drop-in sets states of backends, or how much of their weights counts, and
// nothing else. An empty text does, a text that cannot be parsed does not.
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
			if keys, isTable := b.(map[string]any); !isTable || !onlyStates(keys) {
				return false
			}
		}
	}
	return true
}

func onlyStates(backend map[string]any) bool {
	for key := range backend {
		if key != "state" && key != "weight-percent" {
			return false
		}
	}
	return len(backend) > 0
}

// maxStates is the size of the largest text that OnlyStates parses, in bytes: some 1,000 backends.
const maxStates = 64 << 10

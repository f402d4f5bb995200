package watch

import "testing"

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"web.toml":          true,
		"office.list":       true,
		"web.toml.d":        true,
		"..data":            true,
		"..2026_11_22":      true,
		"4913":              true, // Vim creates it to test for write permission
		".web.toml.swp":     false,
		"web.toml.swp":      false,
		"web.toml~":         false,
		"#web.toml#":        false,
		".#web.toml":        false,
		"web.toml.dpkg-old": false,

		"web.toml.incomplete": false,
	} {
		if got := relevant(name); got != want {
			t.Errorf("%s relevant: %v", name, got)
		}
	}
}

package watch

import "testing"

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"web.toml":          true,
		"office.list":       true,
		"web.toml.d":        true,
		"..data":            true,
		"..2026_11_22":      true,
		"4913":              true, // Vim's trial; nobody would miss it
		".web.toml.swp":     false,
		"web.toml.swp":      false,
		"web.toml~":         false,
		"#web.toml#":        false,
		".#web.toml":        false,
		"web.toml.dpkg-old": false,
	} {
		if got := matters(name); got != want {
			t.Errorf("%s matters: %v", name, got)
		}
	}
}

package source

import "testing"

func TestItem(t *testing.T) {
	tests := []struct{ file, item, farm, words string }{
		{"/etc/farms.d/web.toml", "web.toml", "web", "farm web"},
		{"/etc/farms.d/web.toml.d/50-drain.toml", "web.toml", "web", "farm web"},
		{"/etc/farms.d/web.toml.d", "web.toml", "web", "farm web"},
		{"/etc/farms.d/office.list", "office.list", "", "list office"},
		{"/etc/farms.d/_defaults.toml", "_defaults.toml", "", "_defaults.toml"},
	}
	for _, tt := range tests {
		item := Item(tt.file)
		if item != tt.item || FarmOf(item) != tt.farm || ItemWords(item) != tt.words {
			t.Errorf("%s: item %q, farm %q, %q", tt.file, item, FarmOf(item), ItemWords(item))
		}
	}
}

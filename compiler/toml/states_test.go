package toml

import "testing"

func TestOnlyStates(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       bool
	}{
		{"empty", "# ours\n", true},
		{"state", "[backends.b1]\nstate = \"down\"\n", true},
		{"two-states", "[backends]\nb1.state = \"down\"\nb2.state = \"drain\"\n", true},
		{"state-and-weight", "[backends.b1]\nstate = \"down\"\nweight = 3\n", false},
		{"percent", "[backends.b1]\nweight-percent = 3\n", true},
		{"nothing", "[backends.b1]\n", false},
		{"weight", "[backends.b1]\nweight = 3\n", false},
		{"other-key", "mode = \"dsr\"\n", false},
		{"other-table", "[limits.b1]\nstate = \"down\"\n", false},
		{"no-toml", "state", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := OnlyStates([]byte(test.text)); got != test.want {
				t.Errorf("OnlyStates(%q) = %v", test.text, got)
			}
		})
	}
}

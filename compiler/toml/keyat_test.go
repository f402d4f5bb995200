package toml

import (
	"strings"
	"testing"
)

func TestKeyAt(t *testing.T) {
	text := strings.Join([]string{
		"listen = \"192.0.2.10:80\"",           // 1
		"limits.new = { rate = 1, burst = 2 }", // 2
		"",                                     // 3
		"[backends.b1]",                        // 4
		"  weight = [1,",                       // 5
		"  2]",                                 // 6
		"",
	}, "\n")
	tests := []struct {
		line, column int
		want         string
	}{
		{1, 1, "listen"}, {1, 10, "listen"}, {2, 1, "limits.new"}, {2, 8, "limits.new"}, {2, 16, "limits.new.rate"},
		{2, 23, "limits.new.rate"}, {2, 26, "limits.new.burst"}, {4, 2, "backends.b1"}, {4, 11, "backends.b1"},
		{5, 3, "backends.b1.weight"}, {5, 13, "backends.b1.weight"}, {6, 3, "backends.b1.weight"},
	}
	for _, tt := range tests {
		if got := KeyAt([]byte(text), tt.line, tt.column); got != tt.want {
			t.Errorf("%d:%d: %q, want %q", tt.line, tt.column, got, tt.want)
		}
	}
	for _, odd := range []string{"", "=", "[", "a", "\ufeffa=1", "a = \"\"\"\n"} {
		KeyAt([]byte(odd), 1, 1)
		KeyAt([]byte(odd), 100, 100)
	}
	if got := KeyAt([]byte("# nothing\na = 1"), 1, 1); got != "" {
		t.Errorf("before the first key: %q", got)
	}
}

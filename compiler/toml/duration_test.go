package toml

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "2d": 48 * time.Hour,
		"1h30m": 90 * time.Minute, "5": 0, "": 0, "400d": 0, "forever": 0, "1us": 0} {
		if got, ok := ParseDuration(text); ok != (want != 0) || ok && got != want {
			t.Errorf("%q is %s, %t", text, got, ok)
		}
	}
}

package reload

import (
	"strings"
	"testing"
)

// Wherever two texts differ, that is where they stop being the same, from both ends.
func TestSameBeginningAndEnd(t *testing.T) {
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 7} {
		same := strings.Repeat("x", size)
		for _, at := range []int{0, 1, size / 2, size - 1, size} {
			if at < 0 || at > size {
				continue
			}
			for _, other := range []string{same[:at] + "y" + same[at:], same[:at] + "y" + same[min(at+1, size):]} {
				if got := commonPrefix(same, other); got != at {
					t.Errorf("%d bytes, another one at %d: the first %d are the same", size, at, got)
				}
				if got, want := commonSuffix(same, other), len(other)-at-1; got != want {
					t.Errorf("%d bytes, another one at %d: the last %d are the same, want %d", size, at, got, want)
				}
			}
		}
		if commonPrefix(same, same) != size || commonSuffix(same, same) != size {
			t.Errorf("%d bytes aren't the same as themselves", size)
		}
	}
}

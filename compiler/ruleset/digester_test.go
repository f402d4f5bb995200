package ruleset

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

// The digest of a text that grows, and moves in memory meanwhile, is that of the complete text.
func TestDigester(t *testing.T) {
	for _, size := range []int{0, 100, digestPart - 1, digestPart, 3*digestPart + 5} {
		var d digester
		var text []byte
		for i := 0; len(text) < size; i++ {
			text = append(text, bytes.Repeat([]byte{byte(i)}, min(1000, size-len(text)))...)
			d.follow(text)
		}
		if want := sha256.Sum256(text); !bytes.Equal(d.end(text), want[:]) {
			t.Errorf("another digest of %d bytes", size)
		}
	}
}

package api

import (
	"fmt"
	"strings"
	"testing"

	"farmc/compiler/farm"
)

// Words about backends with the longest names are taken, among many words and alone.
func TestWordsAboutLongNames(t *testing.T) {
	name := strings.Repeat("a", farm.LongestName)
	text := "listen = '192.0.2.1:80'\nbackends." + name + ".address = '10.0.0.1'\n"
	s := start(t, map[string]string{name + ".toml": text})
	many := fmt.Sprintf(`{"words": [{"farm": %q, "backend": %[1]q, "healthy": true}]}`, name)
	for path, body := range map[string]string{"/v1/health": many,
		"/v1/farms/" + name + "/backends/" + name + "/health": `{"healthy": true}`} {
		x := s.do(t, exchange{key: "checker", method: "PUT", path: path, body: body})
		if x.status != 200 {
			t.Errorf("%s: %d %s", path, x.status, x.answer)
		}
	}
}

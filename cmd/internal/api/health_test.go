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

// DELETE takes back the words of one checker or of all. A dry run and a misspelt parameter take back none.
func TestWordsTakenBack(t *testing.T) {
	s := start(t, siteFiles)
	const path = "/v1/farms/web/backends/b1/health"
	for _, by := range []string{"a", "b", "c"} {
		x := s.do(t, exchange{key: "checker", method: "PUT", path: path, body: `{"healthy": true, "by": "` + by + `"}`})
		if x.status != 200 {
			t.Fatalf("the word of %s: %d %s", by, x.status, x.answer)
		}
	}
	for _, tt := range []struct {
		query string
		want  int
		left  string
	}{
		{"?by=b&dry-run", 200, "abc"},
		{"?bye=b", 400, "abc"},
		{"?by=b&dry-run=1", 400, "abc"},
		{"?by=b;c", 400, "abc"},
		{"?by=%zz", 400, "abc"},
		{"?by=", 400, "abc"},
		{"?by", 400, "abc"},
		{"?by=a&by=b", 400, "abc"},
		{"?by=b", 200, "ac"},
		{"", 200, ""},
	} {
		x := s.do(t, exchange{key: "checker", method: "DELETE", path: path + tt.query})
		if left := s.checkersOf(t, path); x.status != tt.want || left != tt.left {
			t.Errorf("DELETE %s: %d %s, want %d; the checkers left are %q, want %q", tt.query, x.status, x.answer,
				tt.want, left, tt.left)
		}
	}
	x := s.do(t, exchange{key: "checker", method: "PUT", path: path + "?by=b", body: `{"healthy": true}`})
	if x.status != 400 {
		t.Errorf("PUT with the parameter by: %d %s", x.status, x.answer)
	}
}

// checkersOf returns the names of the checkers that have a word about a backend.
func (s *site) checkersOf(t *testing.T, path string) (names string) {
	t.Helper()
	document, _ := s.get(t, path)
	for _, word := range document["words"].([]any) {
		names += word.(map[string]any)["by"].(string)
	}
	return names
}

package lsp

import "testing"

// TestPositions: positions count UTF-16 code units, and each kind of line end.
func TestPositions(t *testing.T) {
	const text = "aé😀b\r\nx\ry\n\nz"
	for _, test := range []struct {
		at     position
		offset int
	}{
		{position{0, 0}, 0}, {position{0, 1}, 1}, {position{0, 2}, 3}, {position{0, 4}, 7}, {position{0, 5}, 8},
		{position{1, 0}, 10}, {position{2, 0}, 12}, {position{2, 1}, 13}, {position{3, 0}, 14}, {position{4, 0}, 15},
		{position{4, 1}, 16},
	} {
		if got := offsetOf(text, test.at); got != test.offset {
			t.Errorf("%v is the offset %d, want %d", test.at, got, test.offset)
		}
		if got := positionOf(text, test.offset); got != test.at {
			t.Errorf("%d is the position %v, want %v", test.offset, got, test.at)
		}
	}
	for _, beyond := range []struct {
		at     position
		offset int
	}{{position{0, 99}, 8}, {position{3, 7}, 14}, {position{9, 0}, 16}, {position{0, 3}, 3}} {
		if got := offsetOf(text, beyond.at); got != beyond.offset {
			t.Errorf("%v is the offset %d, want %d", beyond.at, got, beyond.offset)
		}
	}
}

// TestChanges: changes are made one after the other, at the positions of the text so far.
func TestChanges(t *testing.T) {
	at := func(line, from, toLine, to int) *textRange { r := span2(line, from, toLine, to); return &r }
	d := &document{text: "mode = \"😀\"\nx"}
	got, err := d.changed(2, []change{{at(0, 10, 0, 10), "!"}, {at(0, 8, 0, 10), "dnat"}, {at(1, 0, 1, 1), ""},
		{at(1, 0, 1, 0), "y\r\n"}, {at(2, 0, 2, 0), "z"}})
	if err != nil || got.text != "mode = \"dnat!\"\ny\r\nz" || got.version != 2 || d.text != "mode = \"😀\"\nx" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err = d.changed(3, []change{{nil, "all"}}); err != nil || got.text != "all" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err = d.changed(4, []change{{at(1, 0, 0, 0), ""}}); err == nil {
		t.Error("a range backwards is taken")
	}
}

// TestPaths: only files of this machine have a path.
func TestPaths(t *testing.T) {
	for uri, want := range map[string]string{
		"file:///etc/farmc/farms.d/web.toml": "/etc/farmc/farms.d/web.toml",
		"file:///a%20b/%C3%A9%25.toml":       "/a b/é%.toml",
		"file://localhost/x/../web.toml":     "/web.toml",
		"file://elsewhere/web.toml":          "",
		"untitled:1":                         "",
		"http://x/web.toml":                  "",
		"file:web.toml":                      "",
		"%":                                  "",
	} {
		if got := pathOf(uri); got != want {
			t.Errorf("%s is %q, want %q", uri, got, want)
		}
		if want != "" && pathOf(uriOf(want)) != want {
			t.Errorf("%q becomes %s", want, uriOf(want))
		}
	}
}

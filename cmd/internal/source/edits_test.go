package source

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"testing"
)

// State directories have these digests, so an upgrade of farmc must not change them.
func TestEdits(t *testing.T) {
	s := &Files{Roots: []Dir{{Path: "/etc/farms.d"}, {Path: "/run/farms.d"}}, ByPath: map[string]File{}}
	for _, f := range []File{
		{Dir: 0, Name: "a.toml", Text: []byte("a")},
		{Dir: 0, Name: "b.toml", Text: []byte("b")},
		{Dir: 0, Name: "bad.list", Err: errors.New("too long")},
		{Dir: 1, Name: "b.toml.d/1.toml", Text: []byte("mode = 'dnat'")},
		{Dir: 1, Name: "b.toml.d/2.toml", Text: []byte("mode = 'dsr'")},
		{Dir: 1, Name: "b.toml.d/3.toml", Text: []byte("[backends.b1]\nstate = 'drain'\n")}, // no edit
	} {
		s.Add(f)
	}
	digest := func(lines string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(lines))) }
	line := func(path, text string) string { return fmt.Sprintf("%q <nil> %x\n", path, sha256.Sum256([]byte(text))) }
	want := map[string]string{
		"a.toml": digest(line("/etc/farms.d/a.toml", "a")),
		"b.toml": digest(line("/etc/farms.d/b.toml", "b") + line("/run/farms.d/b.toml.d/1.toml", "mode = 'dnat'") +
			line("/run/farms.d/b.toml.d/2.toml", "mode = 'dsr'")),
		"bad.list": digest(fmt.Sprintf("%q too long %x\n", "/etc/farms.d/bad.list", sha256.Sum256(nil))),
	}
	for range 2 { // made, and kept
		if got := s.Edits(); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	all := digest("a.toml " + want["a.toml"] + "\nb.toml " + want["b.toml"] + "\nbad.list " + want["bad.list"] + "\n")
	if got := s.EditsDigest(); got != all {
		t.Errorf("all together: got %s, want %s", got, all)
	}
	texts := ""
	for _, f := range []struct{ path, text, err string }{
		{"/etc/farms.d/a.toml", "a", "<nil>"}, {"/etc/farms.d/b.toml", "b", "<nil>"},
		{"/etc/farms.d/bad.list", "", "too long"},
		{"/run/farms.d/b.toml.d/1.toml", "mode = 'dnat'", "<nil>"},
		{"/run/farms.d/b.toml.d/2.toml", "mode = 'dsr'", "<nil>"},
		{"/run/farms.d/b.toml.d/3.toml", "[backends.b1]\nstate = 'drain'\n", "<nil>"},
	} {
		texts += fmt.Sprintf("%q %d %s\n%s", f.path, len(f.text), f.err, f.text)
	}
	if got, want := s.Digest(), digest(texts); got != want {
		t.Errorf("with states of backends: got %s, want %s", got, want)
	}
}

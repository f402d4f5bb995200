package live

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"farmc/cmd/internal/statedir"
	"farmc/cmd/internal/testmachine"
)

// look returns the snapshot of directories that nothing was loaded from.
func look(t *testing.T, files map[string]string) (*Engine, *Reader) {
	t.Helper()
	dir := t.TempDir()
	testmachine.Write(t, dir, files)
	e := &Engine{Log: t.Logf, Store: statedir.NewStore(t.TempDir()), Insecure: true}
	e.Dirs = append(e.Dirs, Dir(dir))
	r := NewReader(e)
	p, diagnostics, err := e.Plan(t.Context())
	e.Publish(r, p, diagnostics, err)
	return e, r
}

func TestSnapshotHasFaults(t *testing.T) {
	_, r := look(t, map[string]string{
		"web.toml":  plain,
		"same.toml": plain,
		"bad.toml":  strings.Replace(plain, "listen", "lisen", 1) + "\n[backends.b2]\nweight = 0\n",
	})
	s := r.Current()
	if len(s.Readings) != 3 || s.Script() != nil {
		t.Fatalf("%d farms, a script: %t", len(s.Readings), s.Script() != nil)
	}
	keys := map[string]bool{}
	for _, f := range s.Faults("bad") {
		keys[f.Key] = true
		if f.Farm != "bad" || filepath.Base(f.File) != "bad.toml" {
			t.Errorf("a fault of another farm: %+v", f)
		}
	}
	if !keys["backends.b2.weight"] || !keys["lisen"] {
		t.Errorf("the faults are about %v", keys)
	}
	if len(s.Faults("web")) == 0 || len(s.Faults("same")) == 0 || s.Loaded("web") {
		t.Errorf("a conflict of two farms is with %v and %v", s.Faults("web"), s.Faults("same"))
	}
}

func TestRequestIsLaidOverTheFiles(t *testing.T) {
	e, r := look(t, map[string]string{"web.toml": plain, "web.toml.d/a.toml": "backends.b1.state = \"drain\"\n"})
	if e.Store.Dir == "" || r.Current().Script() == nil {
		t.Fatal("no script")
	}
	tests := []struct {
		rule     string
		texts    map[string][]byte
		hasFiles string
	}{
		{"another farm", map[string][]byte{"mail": []byte("x")}, "mail.toml web.toml a.toml"},
		{"the farm itself keeps its drop-ins", map[string][]byte{"web": []byte("x")}, "web.toml web.toml a.toml"},
		{"a removal takes the drop-ins", map[string][]byte{"web": nil}, ""},
	}
	dirs := 2 * len(r.Current().files.sources.Roots) // each with one for the request
	for _, tt := range tests {
		var names []string
		sources := r.Current().withRequest(tt.texts)
		for _, p := range sources.Paths() {
			names = append(names, filepath.Base(p))
		}
		if got := strings.Join(names, " "); got != tt.hasFiles || len(sources.Roots) != dirs {
			t.Errorf("%s: %s in %d directories", tt.rule, got, len(sources.Roots))
		}
	}
	if len(r.Current().files.sources.ByPath) != 2 {
		t.Error("the snapshot has changed")
	}
}

// A farm of a request inherits from the defaults of the directory that it lies in, or would lie in.
func TestRequestInheritsDefaults(t *testing.T) {
	_, r := look(t, map[string]string{"web.toml": plain, "_defaults.toml": "limits.clients = 'x'\n"})
	text := []byte("mode = \"dsr\"\nlisten = \"192.0.2.99:25\"\nbackends.b1.address = \"10.0.0.1\"\n")
	got, err := r.Check(t.Context(), map[string][]byte{"mail": text})
	if err != nil || len(got.Faults) != 1 || got.Faults[0].Key != "" || got.Faults[0].File == "" {
		t.Errorf("with a fault in the defaults: %+v, %v", got.Faults, err)
	}
	_, r = look(t, map[string]string{"web.toml": plain, "_defaults.toml": "interfaces = ['lo']\n"})
	if got, err = r.Check(t.Context(), map[string][]byte{"mail": text}); err != nil || len(got.Faults) > 0 {
		t.Errorf("without interfaces of its own: %+v, %v", got.Faults, err)
	}
}

func TestReaderChecks(t *testing.T) {
	_, r := look(t, map[string]string{"web.toml": plain})
	got, err := r.Check(t.Context(), map[string][]byte{
		"mail": []byte("listen = \"192.0.2.99:25\"\nbackends.b1.weight = 0\nbackends.b1.adress = \"10.0.0.1\"\n")})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, f := range got.Faults {
		keys[f.Farm+" "+f.Key] = true
		if f.File != "" || f.Line != 0 || f.Column != 0 || strings.Contains(f.Message+f.Hint, "request") {
			t.Errorf("a fault has a place: %+v", f)
		}
	}
	if !keys["mail backends.b1.weight"] || !keys["mail backends.b1.adress"] || got.Refused {
		t.Errorf("the faults are %+v", got)
	}
}

func TestReaderBeforeTheFirstLook(t *testing.T) {
	r := NewReader(&Engine{Log: t.Logf, Store: statedir.NewStore(t.TempDir())})
	r.Publish(nil)
	if _, err := r.Status(t.Context()); !errors.Is(err, ErrNoSnapshot) {
		t.Error(err)
	}
	if _, err := r.Difference(t.Context()); !errors.Is(err, ErrNoSnapshot) {
		t.Error(err)
	}
	if _, err := r.Check(t.Context(), nil); !errors.Is(err, ErrNoSnapshot) {
		t.Error(err)
	}
}

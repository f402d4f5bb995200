package manage

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/statedir"
	"farmc/cmd/internal/testmachine"
	"farmc/compiler/farm"
)

func TestMain(m *testing.M) { testmachine.Main(m) }

const web = `# of the web team
listen = "192.0.2.1:80"
[backends.b1]
address = "10.0.0.1" # first
[backends.b2]
address = "10.0.0.2"
`

// A site is a machine with two directories of farms, etc and run, and a state directory.
type site struct {
	*testing.T
	root   string
	engine *live.Engine
}

// newSite returns a site with these files below its root.
func newSite(t *testing.T, files map[string]string) *site {
	t.Helper()
	n, root := testmachine.Nft(t), testmachine.Root(t)
	s := &site{T: t, root: root}
	for _, dir := range []string{"etc", "run"} {
		if err := os.Mkdir(s.at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		s.write(name, text)
	}
	s.engine = &live.Engine{Dirs: []farm.Dir{live.Dir(s.at("etc")), live.Dir(s.at("run"))}, Nft: n,
		Store: statedir.NewStore(s.at("state")), Log: t.Logf, Cause: "test"}
	return s
}

func (s *site) at(name string) string { return filepath.Join(s.root, name) }

func (s *site) write(name, text string) {
	s.Helper()
	if err := os.MkdirAll(filepath.Dir(s.at(name)), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(s.at(name), []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

// do does a write that must succeed.
func (s *site) do(w live.Write) live.WriteResult {
	s.Helper()
	r := s.engine.Write(s.Context(), w)
	if r.Err != nil {
		s.Fatalf("%s: %v %v", w.Item, r.Err, r.Diagnostics)
	}
	return r
}

// files returns the files below etc and run, and the records of farmc about them.
func (s *site) files() []string {
	all := map[string]bool{}
	for _, pattern := range []string{"etc/*.*", "etc/*.d/*", "run/*.*", "run/*.d/*", "state/deadlines.json",
		"state/written/*"} {
		found, _ := filepath.Glob(s.at(pattern))
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				all[strings.TrimPrefix(path, s.root+"/")] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// has compares the files with the wanted ones.
func (s *site) has(want ...string) {
	s.Helper()
	if got := s.files(); !slices.Equal(got, want) {
		s.Errorf("the files are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// text returns the content of a file.
func (s *site) text(name string) string {
	text, _ := os.ReadFile(s.at(name))
	return string(text)
}

// always is the condition that every document fulfils.
func always(json.RawMessage) error { return nil }

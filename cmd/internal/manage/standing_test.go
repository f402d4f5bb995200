package manage

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"farmc/cmd/internal/live"
)

// loaded returns a site that has loaded farm web. Then other files take their places.
func loaded(t *testing.T, files map[string]string) *site {
	t.Helper()
	s := newSite(t, map[string]string{"etc/web.toml": web})
	if _, _, err := s.engine.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		s.write(name, text)
	}
	s.engine.Isolate = true
	return s
}

// A fault that the files have without the write is told with its place in the file, and is none of the document, unless
// the document has it as well.
func TestFaultsOfFiles(t *testing.T) {
	heavy := web + "weight = 2000\n" // of b2
	const tooHeavy = "etc/web.toml:7 backends.b2.weight: weight is 2000, at most 1000"
	dropIn := "[access]\ndeny = \"198.51.100.7\"\nalow = 1\n"
	for _, tt := range []struct {
		rule  string
		files map[string]string
		write live.Write
		want  string // places, keys and messages of the standing faults
		more  int    // faults of the document
	}{
		{"patch", map[string]string{"etc/web.toml": heavy},
			PatchFarm("web", document(t, `{"backends": {"b1": {"weight": 3}}}`), always), tooHeavy, 0},
		{"patch-beside-it", map[string]string{"etc/web.toml": heavy},
			PatchFarm("web", document(t, `{"backends": {"b2": {"port": 81}}}`), always), tooHeavy, 0},
		{"patch-of-the-value", map[string]string{"etc/web.toml": heavy},
			PatchFarm("web", document(t, `{"backends": {"b2": {"weight": 2000, "port": 81}}}`), always), "", 1},
		{"patch-with-another-fault", map[string]string{"etc/web.toml": heavy},
			PatchFarm("web", document(t, `{"mode": "x"}`), always), tooHeavy, 1},
		{"put", map[string]string{"etc/web.toml": heavy}, PutFarm("web", document(t, `{"listen": "192.0.2.1:80",
			"backends": {"b2": {"address": "10.0.0.2", "weight": 2000}}}`), always), "", 1},
		{"put-of-another-backend", map[string]string{"etc/web.toml": heavy},
			PutBackend("web", "b1", document(t, `{"address": "10.0.0.9"}`), always), tooHeavy, 0},
		{"put-of-the-backend", map[string]string{"etc/web.toml": heavy},
			PutBackend("web", "b2", document(t, `{"address": "10.0.0.9", "weight": 2000}`), always), "", 1},
		{"delete-of-another-backend", map[string]string{"etc/web.toml": heavy},
			DeleteBackend("web", "b1", always), tooHeavy, 0},
		{"drop-in", map[string]string{"run/web.toml.d/x.toml": dropIn},
			PutFarm("web", document(t, `{"listen": "192.0.2.1:80", "backends": {"b1": {"address": "10.0.0.9"}}}`),
				always),
			"run/web.toml.d/x.toml:3 access.alow: unknown key \"alow\" in [access]", 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := loaded(t, tt.files)
			r := s.engine.Write(t.Context(), tt.write)
			var got []string
			for _, f := range r.Standing {
				file := strings.TrimPrefix(f.File, s.root+"/")
				got = append(got, fmt.Sprintf("%s:%d %s: %s", file, f.Line, f.Key, f.Message))
			}
			if !errors.Is(r.Err, live.ErrFaulty) || strings.Join(got, "\n") != tt.want {
				t.Errorf("%v\n%s\nwant\n%s", r.Err, strings.Join(got, "\n"), tt.want)
			}
			if n := len(r.Faults) - len(r.Standing); n != tt.more || r.InConflict("web") != (n == 0) {
				t.Errorf("%d faults of the document, want %d; in conflict: %t", n, tt.more, r.InConflict("web"))
			}
		})
	}
}

// A fault of another file that keeps a farm from being loaded is no refusal of the farm.
func TestFaultsOfOtherFiles(t *testing.T) {
	s := loaded(t, map[string]string{"etc/_defaults.toml": "schedular = \"hash\"\n"})
	const farm = `{"listen": "192.0.2.9:80", "backends": {"b1": {"address": "10.0.0.9"}}}`
	put := PutFarm("new", document(t, farm), always)
	for _, dry := range []bool{false, true} {
		put.DryRun = dry
		r := s.engine.Write(t.Context(), put)
		if !errors.Is(r.Err, live.ErrOtherFaults) || len(r.Faults) != 1 ||
			r.Faults[0].File != s.at("etc/_defaults.toml") || r.Faults[0].Line != 1 {
			t.Errorf("dry run %t: %v %+v", dry, r.Err, r.Faults)
		}
	}
	s.has("etc/_defaults.toml", "etc/web.toml")
}

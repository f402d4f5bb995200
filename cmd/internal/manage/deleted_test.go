package manage

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// prepareDropIns writes farmc's own drop-ins about b1 and b2, of which two end by themselves, and drop-ins of other
// programs.
func prepareDropIns(t *testing.T) *site {
	s := newSite(t, map[string]string{"etc/web.toml": web,
		"etc/mail.toml": strings.ReplaceAll(web, "192.0.2.1", "192.0.2.2")})
	if err := s.engine.Store.MarkWatcher(); err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{"b1", "b2"} {
		s.do(live.StateChange{Farm: "web", Backend: b, State: farm.Drain, For: time.Hour}.Write())
		s.do(live.WeightChange{Farm: "web", Backend: b, Weight: 3, Keep: true}.Write())
		s.write("run/"+source.HealthDropIn("web", b), "# Written by farmc from the words of health checkers. "+
			"The next word replaces it.\nbackends."+b+".state = 'drain'\n")
	}
	s.do(live.StateChange{Farm: "mail", Backend: "b1", State: farm.Down, For: time.Hour}.Write())
	s.write("etc/web.toml.d/people.toml", "backends.b1.weight = 2\nbackends.b2.weight = 2\n")
	s.write("run/web.toml.d/checker.toml", "backends.b2.state = 'down'\n")
	return s
}

// A backend that goes takes farmc's own drop-ins about it along, and the records of their ends. All others stay.
func TestDeleteBackendWithItsDropIns(t *testing.T) {
	s := prepareDropIns(t)
	s.write("etc/web.toml.d/people.toml", "backends.b2.weight = 2\n") // else the backend would still be defined
	r := s.do(DeleteBackend("web", "b1", always))
	if len(r.Warnings) > 0 {
		t.Errorf("warnings: %v", r.Warnings)
	}
	s.has("etc/mail.toml", "etc/web.toml", "etc/web.toml.d/people.toml", "etc/web.toml.d/zz-farmc.weight-b2.toml",
		"run/mail.toml.d/zz-farmc-b1.toml", "run/web.toml.d/checker.toml", "run/web.toml.d/zz-farmc-b2.toml",
		"run/web.toml.d/zz-farmc.health-b2.toml", "state/deadlines.json")
	if ends := s.text("state/deadlines.json"); strings.Contains(ends, "web.toml.d/zz-farmc-b1") ||
		!strings.Contains(ends, "web.toml.d/zz-farmc-b2") || !strings.Contains(ends, "mail.toml.d/zz-farmc-b1") {
		t.Errorf("the deadlines are %s", ends)
	}
}

// The drop-ins of a backend with a long name have a digest in their names.
func TestDeleteBackendWithALongName(t *testing.T) {
	long := strings.Repeat("b", 48)
	s := newSite(t, map[string]string{"etc/web.toml": web + "[backends." + long + "]\naddress = \"10.0.0.3\"\n"})
	s.do(live.StateChange{Farm: "web", Backend: long, State: farm.Drain}.Write())
	if len(s.files()) != 2 {
		t.Fatalf("the files are %v", s.files())
	}
	s.do(DeleteBackend("web", long, always))
	s.has("etc/web.toml")
}

// A farm that goes takes farmc's own drop-ins along, and those of this boot. Those of people stay.
func TestDeleteFarmWithItsDropIns(t *testing.T) {
	s := prepareDropIns(t)
	s.do(DeleteFarm("web", always))
	s.has("etc/mail.toml", "etc/web.toml.d/people.toml", "run/mail.toml.d/zz-farmc-b1.toml", "state/deadlines.json")
	if ends := s.text("state/deadlines.json"); strings.Contains(ends, "web.toml.d") {
		t.Errorf("the deadlines are %s", ends)
	}
	kept, _ := filepath.Glob(s.at("state/deleted/web.toml*"))
	if len(kept) != 2 { // the farm's file, and the drop-in of the other program
		t.Errorf("copies: %v", kept)
	}
}

// farmc's own drop-ins in a directory that programs must not write to stay.
func TestDeleteBackendWithReadOnlyDropIns(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web})
	s.do(live.StateChange{Farm: "web", Backend: "b1", State: farm.Drain}.Write())
	s.engine.ReadOnly = []string{s.at("run")}
	r := s.engine.Write(t.Context(), DeleteBackend("web", "b1", always))
	s.has("etc/web.toml", "run/web.toml.d/zz-farmc-b1.toml")
	if r.Err != nil || len(r.Warnings) == 0 {
		t.Errorf("%v, warnings %v", r.Err, r.Warnings)
	}
}

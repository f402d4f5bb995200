package live

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/testmachine"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// Two writes of one load can both change deadlines.json.
func TestWritesThatChangeTheSameFile(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm, "mail.toml": mailFarm})
	if err := e.Store.MarkWatcher(); err != nil {
		t.Fatal(err)
	}
	results := e.WriteAll(t.Context(), []Write{
		StateChange{Farm: "web", Backend: "b1", State: farm.Drain, For: time.Hour}.Write(),
		WeightChange{Farm: "mail", Backend: "m1", Weight: 7, For: time.Hour}.Write(),
	})
	for _, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err, r.Diagnostics)
		}
	}
	all, err := e.deadlines()
	if err != nil || len(all) != 2 {
		t.Errorf("deadlines.json has %v, %v", all, err)
	}
	contains(t, farms+"/web.toml.d/zz-farmc-b1.toml", `state = "drain"`, true)
	contains(t, farms+"/mail.toml.d/zz-farmc.weight-m1.toml", "weight = 7", true)
	agree(t, e)
}

// A weight is refused if another drop-in overrides it, and then changes nothing.
func TestWeightThatAnotherFileSets(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm,
		"web.toml.d/zzz.toml": "[backends.b1]\nweight = 3\n"})
	r := e.Write(t.Context(), WeightChange{Farm: "web", Backend: "b1", Weight: 7}.Write())
	if !errors.Is(r.Err, ErrOtherState) {
		t.Errorf("Write gives %v", r.Err)
	}
	if _, err := os.Stat(filepath.Join(farms, "web.toml.d/zz-farmc.weight-b1.toml")); err == nil {
		t.Error("the drop-in was written")
	}
}

// A drop-in goes to no directory that programs must not write to, and one that is kept to none that a reboot empties.
func TestDropInsBesideReadOnlyDirectories(t *testing.T) {
	for _, tt := range []struct {
		dirs, readOnly []string
		keep           bool
		want           string // "": an error
	}{
		{[]string{"etc", "run"}, nil, false, "run"},
		{[]string{"etc", "run"}, nil, true, "etc"},
		{[]string{"etc"}, nil, true, "etc"},
		{[]string{"etc", "run"}, []string{"etc"}, false, "run"},
		{[]string{"etc", "run"}, []string{"etc"}, true, ""},
		{[]string{"mirror", "etc", "run"}, []string{"mirror/"}, true, "etc"},
		{[]string{"etc", "run", "mirror"}, []string{"mirror"}, false, "run"},
		{[]string{"etc"}, []string{"etc"}, false, ""},
	} {
		e := &Engine{ReadOnly: tt.readOnly}
		for _, dir := range tt.dirs {
			e.Dirs = append(e.Dirs, Dir(dir))
		}
		if got, err := (Files{engine: e}).DropInDir(tt.keep); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
}

// A state that is to outlast a reboot is refused if only a directory can take it that a reboot empties, and other
// states of that farm are in force.
func TestStateOfAFarmInAReadOnlyDirectory(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm, "run/x.list": "# none\n"})
	e.Dirs, e.ReadOnly = append(e.Dirs, Dir(farms+"/run")), []string{farms}
	down := StateChange{Farm: "web", Backend: "b1", State: farm.Down, Keep: true}
	if r := e.Write(t.Context(), down.Write()); !errors.Is(r.Err, ErrReadOnly) {
		t.Errorf("Write gives %v", r.Err)
	}
	down.Keep = false
	if r := e.Write(t.Context(), down.Write()); r.Err != nil {
		t.Error(r.Err)
	}
	contains(t, farms+"/run/web.toml.d/zz-farmc-b1.toml", `state = "down"`, true)
	if _, err := os.Stat(farms + "/web.toml.d"); err == nil {
		t.Error("the read-only directory has a drop-in")
	}
	mirrored := "web.toml.d/zz-farmc-b2.toml"
	testmachine.Write(t, farms, map[string]string{mirrored: "[backends.b2]\nstate = \"down\"\n"})
	up := StateChange{Farm: "web", Backend: "b2", State: farm.Up}
	r := e.Write(t.Context(), up.Write())
	err := up.Explain(r)
	if !errors.Is(err, ErrOtherState) || !strings.HasSuffix(err.Error(), mirrored+" sets its state") {
		t.Errorf("Write gives %v", err)
	}
	contains(t, farms+"/"+mirrored, "down", true)
}

// A drop-in that is set aside has no warnings about the text of its version in force, which its file does not have.
func TestWarningsOfADropInSetAside(t *testing.T) {
	const dropIn, stale = "web.toml.d/x.toml", "backends.b9.weight = 3\n"
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm, dropIn: stale,
		"web.toml.d/y.toml": "backends.b8.weight = 3\n"})
	warned := func(want ...string) {
		t.Helper()
		_, diagnostics, _ := e.Apply(t.Context())
		var got []string
		for _, d := range diagnostics {
			if d.Severity == diag.Warning {
				got = append(got, strings.TrimPrefix(d.Place.String(), farms+"/"))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("warnings are at %q, want %q: %v", got, want, diagnostics)
		}
	}
	warned(dropIn+":1:10", "web.toml.d/y.toml:1:10")
	testmachine.Write(t, farms, map[string]string{dropIn: "# no backend\nstate = \"dwon\"\n"})
	warned("web.toml.d/y.toml:1:10")
}

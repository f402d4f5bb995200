package live

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

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

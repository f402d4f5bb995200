package main

import (
	"strings"
	"testing"

	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
)

// A limit with verdict "log" holds no packet back.
func TestStatusOfLimitsThatLog(t *testing.T) {
	var shown strings.Builder
	f := live.FarmStatus{Name: "web", HeldBack: map[string]uint64{"denied": 3},
		LetPass: map[string]uint64{"new-per-client": 4}}
	showFarm(&shown, live.Status{Farms: []live.FarmStatus{f}}, diag.Palette{})
	for _, want := range []string{"\n  held back  denied 3\n", "\n  let pass   new-per-client 4\n"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is missing in\n%s", want, shown.String())
		}
	}
	if n := held(f); n != "3" {
		t.Errorf("column DENIED: %s", n)
	}
}

package toml

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"farmc/compiler/diag"
)

// TestInherit lays tables over others. Values in the lines that are refused are left out.
func TestInherit(t *testing.T) {
	tests := []struct {
		rule, own, under string
		refused          []int // lines of under
		want             string
	}{
		{"a missing key", "a = 1", "b = 2", nil, `{"a":1,"b":2}`},
		{"its own value stays", "a = 1", "a = 2", nil, `{"a":1}`},
		{"tables merge", "[t]\na = 1", "[t]\na = 2\nb = 3", nil, `{"t":{"a":1,"b":3}}`},
		{"tables in tables merge", "t = { u = { a = 1 } }", "t.u.b = 2", nil, `{"t":{"u":{"a":1,"b":2}}}`},
		{"a value stays where there is a table", "t = 1", "[t]\nb = 3", nil, `{"t":1}`},
		{"a refused value", "a = 1", "b = 2\nc = 3", []int{1}, `{"a":1,"c":3}`},
		{"a refused item", "a = 1", "b = [\n2,\n3]", []int{2}, `{"a":1,"b":[3]}`},
		{"a list without items is left out", "a = 1", "b = [\n2]", []int{2}, `{"a":1}`},
		{"a refused table", "a = 1", "[t]\nb = 2", []int{1}, `{"a":1}`},
		{"a table without keys is left out", "a = 1", "[t]\nb = 2", []int{2}, `{"a":1}`},
		{"an empty table", "a = 1", "[t]", nil, `{"a":1,"t":{}}`},
	}
	for _, tt := range tests {
		var faults diag.Diagnostics
		own, under := Parse("own", []byte(tt.own), &faults), Parse("under", []byte(tt.under), &faults)
		before, _ := json.Marshal(under.Document())
		own.Inherit(under, func(at diag.Place) bool {
			return at.File == "under" && slices.Contains(tt.refused, at.Line) && !strings.HasPrefix(at.Text, "b = [")
		})
		got, _ := json.Marshal(own.Document())
		after, _ := json.Marshal(under.Document())
		if string(got) != tt.want || string(before) != string(after) || len(faults) > 0 {
			t.Errorf("%s: %s and below %s, %v", tt.rule, got, after, faults)
		}
	}
}

// Faults of inherited keys are those of the table that inherits, and readers of it mark no key of the other one.
func TestInheritedKeysReportToTheTable(t *testing.T) {
	var own, other diag.Diagnostics
	table, under := Parse("own", []byte("a = 1"), &own), Parse("under", []byte("[t]\nb = 'x'"), &other)
	table.Inherit(under, func(diag.Place) bool { return false })
	table.Sub("t").Number("b", 0, 1, 2)
	under.FaultUnknown()
	if len(own) != 1 || own[0].Place.File != "under" || len(other) != 1 || !strings.Contains(other[0].Message, `"t"`) {
		t.Errorf("own %v, other %v", own, other)
	}
}

func TestLeaves(t *testing.T) {
	var faults diag.Diagnostics
	var got []string
	for _, leaf := range Parse("f", []byte("a = 1\n[t]\nb = [1]\nc = { d = 2 }\n[u]"), &faults).Leaves() {
		got = append(got, strings.Join(leaf.Path, "."))
	}
	if strings.Join(got, " ") != "a t.b t.c.d u" {
		t.Errorf("got %q", got)
	}
}

package edit

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestLargeFarms: edits of 5,000 backends take seconds at most, on a busy machine with two processors.
func TestLargeFarms(t *testing.T) {
	if testing.Short() {
		t.Skip("5,000 backends")
	}
	const many = 5000
	backend := func(i int) string { return fmt.Sprintf("b%05d", i) }
	table, weights, none := map[string]any{}, map[string]any{}, map[string]any{}
	for i := range many {
		table[backend(i)] = map[string]any{"address": fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), "weight": int64(5)}
		weights[backend(i)] = map[string]any{"weight": int64(7), "port": int64(80)}
		none[backend(i)] = nil
	}
	var braces, dotted, static strings.Builder
	for i := range many {
		fmt.Fprintf(&braces, "  %s = { weight = 5 },\n", backend(i))
		fmt.Fprintf(&dotted, "%s.weight = 5\n", backend(i))
		fmt.Fprintf(&static, "%s = { weight = 5 }\n", backend(i))
	}
	sections, faults := Write(Document{backends: table})
	if len(faults) > 0 {
		t.Fatal(list(faults))
	}
	texts := map[string]string{
		"sections": string(sections),
		"braces":   "backends = {\n" + braces.String() + "}\n",
		"dotted":   "[backends]\n" + dotted.String(),
		"lines":    "[backends]\n" + static.String(),
		"nothing":  "[limits]\n",
	}
	for form, text := range texts {
		for change, patch := range map[string]map[string]any{
			"one": {"b00007": map[string]any{"weight": int64(9)}}, "all": weights, "none": none,
			"new": renamed(table)} {
			begin := time.Now()
			_, faults := Patch([]byte(text), Document{backends: patch})
			if took := time.Since(begin); took > 10*time.Second || len(faults) > 0 {
				t.Errorf("%s, %s: %s %s", form, change, took, list(faults))
			}
		}
	}
}

func renamed(table map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range table {
		out["new-"+name] = value
	}
	return out
}

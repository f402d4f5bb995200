package farm

import (
	"slices"
	"testing"
)

// Keys that no rule depends on, and backends with hostnames, have no other sentence about their changes.
func TestUnloadedChanges(t *testing.T) {
	const listen, b1 = "listen = '192.0.2.10:80'\n", "[backends.b1]\naddress = '10.0.0.11'\n"
	const far = "[backends.far]\naddress = 'app.example.com'\n"
	for _, tt := range []struct {
		rule, before, after, backend string
		want                         []string
	}{
		{"rules-show-it", listen + b1, listen + b1 + "weight = 2\n", "", nil},
		{"description", listen + b1, "description = 'x'\n" + listen + b1, "", []string{`description unset → "x"`}},
		{"of-a-backend-alone", listen + b1, "description = 'x'\n" + listen + b1, "b1", nil},
		{"annotations", listen + "annotations = { a = '1', b = '2' }\n" + b1,
			listen + "annotations = { b = '3', c = '4' }\n" + b1, "", []string{`annotations.a "1" → unset`,
				`annotations.b "2" → "3"`, `annotations.c unset → "4"`}},
		{"inherit", listen + b1, "inherit = false\n" + listen + b1, "", []string{"inherit unset → false"}},
		{"hostname-new", listen + b1, listen + b1 + far + "weight = 2\n", "far",
			[]string{`backend far new: address "app.example.com"`}},
		{"hostname-gone", listen + b1 + far, listen + b1, "", []string{"backend far gone"}},
		{"hostname-changes", listen + far, listen + far + "weight = 2\nhealth.type = 'tcp'\n", "",
			[]string{`backend far health.type unset → "tcp"`, "backend far weight unset → 2"}},
		{"another-backend", listen + b1 + far, listen + b1 + far + "weight = 2\n", "b1", nil},
		{"not-toml", listen, "listen = ", "", nil},
	} {
		before, after := ReadText("web", []byte(tt.before), nil), ReadText("web", []byte(tt.after), nil)
		if got := UnloadedChanges(before, after, tt.backend); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.rule, got, tt.want)
		}
	}
}

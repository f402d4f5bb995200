package reload

import (
	"strings"
	"testing"
)

// A complete load takes over the counts of all backends, in maps and in sets. A backend that has no element any more is
// told with its count.
func TestNewComplete(t *testing.T) {
	const b1, b2 = "[backends.b1]\naddress = '10.0.0.11'\n", "[backends.b2]\naddress = '10.0.0.12'\n"
	for _, test := range []struct{ name, keys, element, uncounted string }{
		{"map", "", "tcp . 192.0.2.10 . 80 . 0 counter packets 8 bytes 16 : 10.0.0.11 . 80,", "10.0.0.12"},
		{"set", "mode = 'stateless'\nscheduler = 'hash'\n",
			`192.0.2.10 . 80 . 0 counter packets 8 bytes 16 comment "b1",`, "b2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys := "listen = '192.0.2.10:80'\n" + test.keys
			before := standing(t, map[string]string{"web": keys + b1 + "weight = 2\n" + b2})
			after := standing(t, map[string]string{"web": keys + b1 + b2 + "state = 'down'\n"})
			r, err := NewComplete(before.Text, after)
			if err != nil {
				t.Fatal(err)
			}
			counts := make([]Counter, len(r.Counted()))
			for i := range counts {
				counts[i] = Counter{4, 8}
			}
			text := string(r.Script(counts).Text)
			if !strings.Contains(text, "\t\t\t"+test.element+"\n") {
				t.Errorf("the script lacks %s", test.element)
			}
			if withoutCounts(text) != string(after.Text) {
				t.Error("the script differs in more than counts")
			}
			lost := r.Uncounted(counts)
			if len(lost) != 1 || lost[0].Farm != "web" || lost[0].Name+lost[0].Address != test.uncounted ||
				lost[0].Packets != 4 {
				t.Errorf("uncounted are %+v", lost)
			}
		})
	}
}

func withoutCounts(text string) string {
	return strings.ReplaceAll(text, " counter packets 8 bytes 16", "")
}

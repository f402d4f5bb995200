package nftlb

import (
	"reflect"
	"testing"
)

// TestBackendsWithOneAddress: nftlb takes a server twice, and a mark for each port of a machine. farmc does not.
func TestBackendsWithOneAddress(t *testing.T) {
	both := func(first, second string) string {
		return `"backends": [{"name": "b1", "ip-addr": "10.0.0.1"` + first + `},
			{"name": "b2", "ip-addr": "10.0.0.1"` + second + `}]`
	}
	table := func(pairs ...any) map[string]any {
		out := map[string]any{"address": "10.0.0.1"}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	for _, test := range []struct {
		name, keys string
		marks      Marks
		want       map[string]any
		lost       string
	}{
		{"no port yet", both(`, "port": "80"`, ""), MarksAsked, map[string]any{"b1": table()}, "backends.b2"},
		{"one that serves", both(`, "state": "down"`, ""), MarksAsked, map[string]any{"b2": table()}, "backends.b1"},
		{"own ports", both(`, "port": "80"`, `, "port": "81"`), MarksAsked, map[string]any{
			"b1": table("port", int64(80)), "b2": table("port", int64(81))}, ""},
		{"own numbers", both(`, "port": "80"`, `, "port": "81"`), MarksAll, map[string]any{
			"b1": table("port", int64(80), "mark", "0x1"), "b2": table("port", int64(81), "mark", "0x1")},
			"backends.b2.mark"},
		{"own marks", both(`, "port": "80"`, `, "port": "81", "mark": "0x200"`), MarksAll, map[string]any{
			"b1": table("port", int64(80), "mark", "0x200"), "b2": table("port", int64(81), "mark", "0x200")},
			"backends.b1.mark"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := (&State{}).Do(posted(`{"farms": [{"name": "web", "virtual-addr": "192.0.2.1", "virtual-ports": "80",
				"persistence": "srcip", ` + test.keys + `,
				"sessions": [{"client": "10.9.0.1", "backend": "b1"}]}]}`)).State
			d, losses := s.Document(s.Farms[0], test.marks)
			if got := d["backends"]; !reflect.DeepEqual(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
			lost := ""
			for _, l := range losses {
				lost += l.Key
			}
			if lost != test.lost {
				t.Errorf("losses: %v", losses)
			}
			fixed := d["persistence"].(map[string]any)["static"].(map[string]any)["10.9.0.1"]
			if test.want[fixed.(string)] == nil {
				t.Errorf("a session at %v", fixed)
			}
			checkFiles(t, s, test.name)
		})
	}
}

package nftlb

import (
	"reflect"
	"testing"

	"farmc/cmd/internal/edit"
)

// personal is a farm of a person, with entries that nftlb has no place for.
const personal = `
listen = ["192.0.2.1:80", "192.0.2.2/esp", "192.0.2.3:443/tcp,udp", "*:25"]
backends.b1 = { address = "10.2.0.1", ports = { 80 = 81 } }
backends.b2 = { address = "10.2.0.1", ports = { 80 = 82 } }
[access]
allow = ["@good", "10.77.0.0/16"]
deny = ["10.66.0.0/16", "@bad"]
order = "deny-first"
[log]
on = ["input", "limited"]
`

// A change through the API leaves entries alone that nftlb has no place for.
func TestEntriesOfAPerson(t *testing.T) {
	d, faults := edit.Read([]byte(personal))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	in := Files{Farms: map[string]edit.Document{"hand": d}, Lists: map[string][]byte{"bad": []byte("10.1.0.1\n"),
		"good": []byte("10.1.0.2\n"), "more": []byte("10.1.0.3\n")}}
	for _, test := range []struct {
		name, verb, path, keys string
		key                    string
		want                   any // in the patch
	}{
		{"a policy more", "PUT", "", `"policies": [{"name": "more"}]`, "access",
			map[string]any{"deny": []any{"@bad", "@more", "10.66.0.0/16"}}},
		{"a weight of a server with two ports", "PUT", "", `"backends": [{"name": "b2", "weight": "5"}]`, "backends",
			map[string]any{"b2": map[string]any{"weight": int64(5)}}},
		{"a policy less", "DELETE", "bad", "", "access", map[string]any{"deny": []any{"10.66.0.0/16"}}},
		{"a whitelist less", "DELETE", "good", "", "access", map[string]any{"allow": []any{"10.77.0.0/16"}}},
		{"another port", "PUT", "", `"virtual-ports": "90"`, "listen",
			[]any{"192.0.2.1:90", "192.0.2.2/esp", "192.0.2.3:443/tcp,udp", "*:25"}},
		{"an address more", "PUT", "", `"addresses": [{"name": "a", "ip-addr": "192.0.2.4", "ports": "80"}]`, "listen",
			[]any{"192.0.2.1:80", "192.0.2.2/esp", "192.0.2.3:443/tcp,udp", "*:25", "192.0.2.4:80"}},
		{"another occasion", "PUT", "", `"log": "input output"`, "log",
			map[string]any{"on": []any{"input", "output", "limited"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := in.State()
			r := posted(`{"farms": [{"name": "hand", ` + test.keys + `}]}`)
			if r.Verb = test.verb; test.verb == "DELETE" {
				r = Request{Verb: "DELETE", Path: []string{"farms", "hand", "policies", test.path}}
			}
			a := s.Do(r)
			if !a.OK() {
				t.Fatal(a.Text)
			}
			c := s.Changes(a.State, MarksAsked).Farms[0]
			patch := Patch(c.Before, c.After)
			if !reflect.DeepEqual(patch[test.key], test.want) {
				t.Errorf("%v, want %v", patch[test.key], test.want)
			}
			again := Files{Farms: map[string]edit.Document{"hand": c.After}, Lists: in.Lists}.State()
			if got, want := string(again.Listing("farms", "")), string(a.State.Listing("farms", "")); got != want {
				t.Errorf("the listing of the file: %s", difference(got, want))
			}
		})
	}
	want := []Lost{{"hand", "access.allow"}, {"hand", "access.deny"},
		{"hand", "backends.b1.ports"}, {"hand", "backends.b2.ports"}, {"hand", "listen"}, {"hand", "log.on"}}
	if _, lost := in.Export(); !reflect.DeepEqual(lost, want) {
		t.Errorf("an export loses %v, want %v", lost, want)
	}
}

package reload

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

func standing(t *testing.T, farms map[string]string) *ruleset.Script {
	t.Helper()
	files := fstest.MapFS{"friends.list": {Data: []byte("203.0.113.0/25\n2001:db8:f::/48\n")}}
	for name, text := range farms {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	script, told := compiler.Compile([]farm.Dir{{FS: files}})
	if told.Faulty() {
		t.Fatal(compilertest.Printed(told))
	}
	return script
}

func TestBackendCounters(t *testing.T) {
	const backends = "\n[backends.b1]\naddress = '10.0.0.11'\nweight = 3\n[backends.b2]\naddress = " +
		"'10.0.0.12'\n[backends.b3]\naddress = '10.0.0.13'\nstate = 'down'"
	for _, test := range []struct {
		name, keys string
		want       map[string]int // slots
	}{
		{"random", "", map[string]int{"b1": 3, "b2": 1}},
		{"round-robin", "scheduler = 'round-robin'\n", map[string]int{"b1": 3, "b2": 1}},
		{"two-doors", "listen = ['192.0.2.10:80', '192.0.2.10:443']\n", map[string]int{"b1": 6, "b2": 2}},
		{"persistent", "[persistence]\ntimeout = '1m'\n", map[string]int{"b1": 1, "b2": 1}}, // one target each
		{"dsr", "mode = 'dsr'\ninterfaces = 'eth0'\nscheduler = 'hash'\n", map[string]int{"b1": 3, "b2": 1}},
		{"udp-without-tracking", "mode = 'dsr'\ninterfaces = 'eth0'\nlisten = '192.0.2.10:80/udp'\n", map[string]int{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys := test.keys
			if !strings.Contains(keys, "listen") {
				keys = "listen = '192.0.2.10:80'\n" + keys
			}
			s := standing(t, map[string]string{"web": keys + backends, "other": "listen = '192.0.2.11:80'" + backends})
			tallies, err := BackendCounters(s, "web")
			if err != nil {
				t.Fatal(err)
			}
			slots := map[string]int{}
			for _, c := range tallies {
				slots[c.Backend]++
				if len(c.Keys) == 0 || c.Farm != "web" {
					t.Errorf("%+v", c)
				}
			}
			if !maps.Equal(slots, test.want) {
				t.Errorf("got %v, want %v", slots, test.want)
			}
			if all, err := BackendCounters(s, ""); err != nil || len(all) <= len(tallies) {
				t.Errorf("of all farms there are %d, %v", len(all), err)
			}
		})
	}
}

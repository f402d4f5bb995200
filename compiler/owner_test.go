package compiler

import (
	"net/netip"
	"slices"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
)

func standing(t *testing.T, farms map[string]string) *Script {
	t.Helper()
	files := fstest.MapFS{"friends.list": {Data: []byte("203.0.113.0/25\n2001:db8:f::/48\n")}}
	for name, text := range farms {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	script, told := Compile([]Dir{{FS: files}})
	if told.Faulty() {
		t.Fatal(printed(told))
	}
	return script
}

// farmsOf reads farms, by name, that are written as texts.
func farmsOf(t *testing.T, texts map[string]string) []*Farm {
	t.Helper()
	files := fstest.MapFS{"friends.list": {Data: []byte("203.0.113.0/25\n2001:db8:f::/48\n")}}
	for name, text := range texts {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	var told diag.Diagnostics
	farms := new(Cache).Read([]Dir{{FS: files}}, &told)
	if told.Faulty() {
		t.Fatal(told)
	}
	return farms
}

func TestBackendCounters(t *testing.T) {
	const backends = "\n[backends.b1]\naddress = '10.0.0.11'\nweight = 3\n[backends.b2]\naddress = '10.0.0.12'\n[backends.b3]\naddress = '10.0.0.13'\nstate = 'down'"
	for _, test := range []struct {
		name, keys string
		want       map[string]int // slots
	}{
		{"random", "", map[string]int{"b1": 3, "b2": 1}},
		{"round-robin", "scheduler = 'round-robin'\n", map[string]int{"b1": 3, "b2": 1}},
		{"two-doors", "listen = ['192.0.2.10:80', '192.0.2.10:443']\n", map[string]int{"b1": 6, "b2": 2}},
		{"persistent", "[persistence]\ntimeout = '1m'\n", map[string]int{"b1": 3, "b2": 1}},
		{"dsr", "mode = 'dsr'\ninterfaces = 'eth0'\nscheduler = 'hash'\n", map[string]int{"b1": 6, "b2": 2}}, // later fragments, too
	} {
		t.Run(test.name, func(t *testing.T) {
			keys := test.keys
			if test.name != "two-doors" {
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
			for name, n := range test.want {
				if slots[name] != n || slots["b3"] != 0 {
					t.Errorf("got %v, want %v", slots, test.want)
				}
			}
			if all, err := BackendCounters(s, ""); err != nil || len(all) <= len(tallies) {
				t.Errorf("of all farms there are %d, %v", len(all), err)
			}
		})
	}
}

func TestOwners(t *testing.T) {
	farms := farmsOf(t, map[string]string{
		"web":   "listen = '192.0.2.10:80'\n[backends.b1]\naddress = '10.0.0.11'\nport = 8080",
		"range": "listen = '192.0.2.10:1-1000'\n[backends.b2]\naddress = '10.0.0.12'",
	})
	c := NewOwners(farms)
	at := netip.MustParseAddrPort
	for _, test := range []struct{ to, server, want string }{
		{"192.0.2.10:80", "10.0.0.11:8080", "web b1"},
		{"192.0.2.10:81", "10.0.0.12:81", "range b2"},
		{"192.0.2.10:81", "10.0.0.11:8080", " "},
		{"192.0.2.11:80", "10.0.0.11:8080", " "},
	} {
		farm, backend, _ := c.Backend(Connection{Protocol: 6, To: at(test.to), Server: at(test.server), Translated: true})
		if got := farm + " " + backend; got != test.want {
			t.Errorf("%s to %s is of %q, want %q", test.to, test.server, got, test.want)
		}
	}
}

func TestShares(t *testing.T) {
	const text = "listen = ['192.0.2.10:80', '[2001:db8::10]:80']\n[backends.b1]\naddress = ['10.0.0.11', 'fd00::11']\nweight = 3\n[backends.b2]\naddress = ['10.0.0.12', 'fd00::12']\n[backends.b3]\naddress = '10.0.0.13'\npriority = 2"
	f := farmsOf(t, map[string]string{"web": text})[0]
	if got := f.Shares(); len(got) != 2 || got["b1"] != 0.75 || got["b2"] != 0.25 {
		t.Errorf("got %v", got)
	}
}

func TestClients(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"198.51.100.7", "198.51.100.7/32"}, {"198.51.100.7/32", "198.51.100.7/32"}, {"198.51.100.0/24", ""},
		{"2001:db8:1:2:3::4", "2001:db8:1:2::/64"}, {"2001:db8:1:2::/64", "2001:db8:1:2::/64"}, {"2001:db8:1:2::1/64", ""}, {"2001:db8::/32", ""},
		{"example.org", ""}, {"", ""}, {"fe80::1%eth0", ""},
	} {
		got, ok := ParseClient(test.text)
		if ok != (test.want != "") || ok && got.String() != test.want {
			t.Errorf("%q is %s, %t, want %q", test.text, got, ok, test.want)
		}
	}
}

func TestAllows(t *testing.T) {
	f := farmsOf(t, map[string]string{"web": "listen = '192.0.2.10:80'\n[access]\nallow = ['198.51.100.7', '@friends']\n[limits]\nban = '1h'\n[backends.b1]\naddress = '10.0.0.11'"})[0]
	var allowed []string
	for _, text := range []string{"198.51.100.7", "198.51.100.8", "203.0.113.127", "203.0.113.128", "2001:db8:f:1::1", "2001:db8:e::1"} {
		if client, _ := ParseClient(text); f.Allows(client) {
			allowed = append(allowed, text)
		}
	}
	if want := []string{"198.51.100.7", "203.0.113.127", "2001:db8:f:1::1"}; !slices.Equal(allowed, want) {
		t.Errorf("allowed are %v, want %v", allowed, want)
	}
}

package flows

import (
	"net/netip"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// farmsOf reads farms, by name, that are written as texts.
func farmsOf(t *testing.T, texts map[string]string) []*farm.Farm {
	t.Helper()
	files := fstest.MapFS{"friends.list": {Data: []byte("203.0.113.0/25\n2001:db8:f::/48\n")}}
	for name, text := range texts {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	var told diag.Diagnostics
	farms := new(farm.Cache).Read([]farm.Dir{{FS: files}}, &told)
	if told.Faulty() {
		t.Fatal(told)
	}
	return farms
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
		name, backend, _ := c.Backend(Connection{Protocol: 6, To: at(test.to), Server: at(test.server),
			Translated: true})
		if got := name + " " + backend; got != test.want {
			t.Errorf("%s to %s is of %q, want %q", test.to, test.server, got, test.want)
		}
	}
}

package farm

import (
	"slices"
	"testing"
)

func TestClients(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"198.51.100.7", "198.51.100.7/32"}, {"198.51.100.7/32", "198.51.100.7/32"}, {"198.51.100.0/24", ""},
		{"2001:db8:1:2:3::4", "2001:db8:1:2::/64"}, {"2001:db8:1:2::/64", "2001:db8:1:2::/64"},
		{"2001:db8:1:2::1/64", ""}, {"2001:db8::/32", ""},
		{"example.org", ""}, {"", ""}, {"fe80::1%eth0", ""},
	} {
		got, ok := ParseClient(test.text)
		if ok != (test.want != "") || ok && got.String() != test.want {
			t.Errorf("%q is %s, %t, want %q", test.text, got, ok, test.want)
		}
	}
}

func TestAllows(t *testing.T) {
	f := farmsOf(t, map[string]string{"web": "listen = '192.0.2.10:80'\n[access]\nallow = ['198.51.100.7', " +
		"'@friends']\n[limits]\nban = '1h'\n[backends.b1]\naddress = '10.0.0.11'"})[0]
	var allowed []string
	for _, text := range []string{"198.51.100.7", "198.51.100.8", "203.0.113.127", "203.0.113.128", "2001:db8:f:1::1",
		"2001:db8:e::1"} {
		if client, _ := ParseClient(text); f.Allows(client) {
			allowed = append(allowed, text)
		}
	}
	if want := []string{"198.51.100.7", "203.0.113.127", "2001:db8:f:1::1"}; !slices.Equal(allowed, want) {
		t.Errorf("allowed are %v, want %v", allowed, want)
	}
}

package addr

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestNetworkTable: networks that hold an address come by their prefixes, the longest first.
func TestNetworkTable(t *testing.T) {
	var table NetworkTable[string]
	for _, text := range []string{"198.51.100.0/28", "198.51.100.3/32", "198.51.100.0/24", "192.0.2.0/28",
		"2001:db8::/64", "2001:db8::3/128", "198.51.100.8/30"} {
		*table.At(netip.MustParsePrefix(text)) += text
	}
	*table.At(netip.MustParsePrefix("198.51.100.0/24")) += "!"
	for _, test := range []struct{ of, want string }{
		{"198.51.100.3/32", "198.51.100.3/32 198.51.100.0/28 198.51.100.0/24!"},
		{"198.51.100.9/32", "198.51.100.8/30 198.51.100.0/28 198.51.100.0/24!"},
		{"198.51.100.0/28", "198.51.100.0/28 198.51.100.0/24!"},
		{"198.51.100.0/27", "198.51.100.0/24!"},
		{"198.51.101.3/32", ""},
		{"2001:db8::3/128", "2001:db8::3/128 2001:db8::/64"},
		{"2001:db8:1::3/128", ""},
	} {
		var got []string
		for v := range table.Around(netip.MustParsePrefix(test.of)) {
			got = append(got, *v)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %q, want %s", test.of, got, test.want)
		}
	}
	var empty NetworkTable[int]
	if got := slices.Collect(empty.Holding(netip.MustParseAddr("192.0.2.1"))); got != nil {
		t.Errorf("an empty table holds %v", got)
	}
}

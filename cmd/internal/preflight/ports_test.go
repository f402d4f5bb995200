package preflight

import (
	"net/netip"
	"testing"
	"testing/fstest"

	"farmc/cmd/internal/sockets"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// Of many farms the index has the ones that take a port of a socket. Addresses of other farms count where one of these
// takes packets to more than single addresses.
func TestFrontendIndex(t *testing.T) {
	listening := []sockets.Socket{{Protocol: sockets.TCP, Port: 8080}, {Protocol: sockets.TCP, Port: 22},
		{Protocol: sockets.UDP, Port: 53}}
	at := netip.MustParseAddr("192.0.2.1")
	for listen, c := range map[string]struct {
		found     []int // indexes in listening of the sockets that lose packets to the address
		addresses int
	}{
		"192.0.2.1:22":          {[]int{1}, 1},
		"192.0.2.1:23":          {nil, 0},
		"192.0.2.1:22/udp":      {nil, 0},
		"192.0.2.1:53/tcp,udp":  {[]int{2}, 1},
		"192.0.2.1:20-30":       {[]int{1}, 1},
		"192.0.2.1:23-30":       {nil, 0},
		"192.0.2.1:8080":        {[]int{0}, 1},
		"192.0.2.1/all":         {[]int{0, 1, 2}, 1},
		"192.0.2.0/30:22":       {[]int{1}, 2},
		"*:22":                  {[]int{1}, 1},
		"*:23":                  {nil, 0},
		"192.0.2.1:1-65535/udp": {[]int{2}, 1},
	} {
		var told diag.Diagnostics
		const backend = "\n[backends.b1]\naddress = '10.0.0.1'\n"
		farms := new(farm.Cache).Read([]farm.Dir{{FS: fstest.MapFS{
			"web.toml":   {Data: []byte("listen = '" + listen + "'" + backend)},
			"other.toml": {Data: []byte("listen = '198.51.100.1:443'" + backend)},
		}}}, &told)
		if told.Faulty() {
			t.Fatal(told)
		}
		x := newFrontendIndex(farms, listening)
		if len(x.addresses) != c.addresses {
			t.Errorf("%s: addresses %v, want %d", listen, x.addresses, c.addresses)
		}
		for i, s := range listening {
			want := false
			for _, n := range c.found {
				want = want || n == i
			}
			if got := x.find(at, s) != nil; got != want {
				t.Errorf("%s takes %s/%d: %t, want %t", listen, s.Protocol, s.Port, got, want)
			}
		}
	}
}

package probe

import (
	"net/netip"
	"strings"
	"testing"

	"farmc/compiler/farm"
)

// The request is written as the farm has it: the path is not cleaned, and the host is the address if there is none.
func TestRequest(t *testing.T) {
	ip4, ip6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		address netip.Addr
		port    uint16
		check   farm.Health
		want    string // the lines that differ
	}{
		{ip4, 80, a(farm.HealthHTTP), "GET / HTTP/1.1|Host: 192.0.2.1"},
		{ip4, 8080, a(farm.HealthHTTP), "GET / HTTP/1.1|Host: 192.0.2.1:8080"},
		{ip6, 80, a(farm.HealthHTTP), "GET / HTTP/1.1|Host: [2001:db8::1]"},
		{ip6, 80, a(farm.HealthHTTPS), "GET / HTTP/1.1|Host: [2001:db8::1]:80"},
		{ip6, 443, a(farm.HealthHTTPS), "GET / HTTP/1.1|Host: [2001:db8::1]"},
		{ip4, 80, a(farm.HealthHTTP, host("www.example:99"), method("HEAD")), "HEAD / HTTP/1.1|Host: www.example:99"},
		{ip4, 80, a(farm.HealthHTTP, path("/a//../b%2Fc?d=%20&e")),
			"GET /a//../b%2Fc?d=%20&e HTTP/1.1|Host: 192.0.2.1"},
		{ip4, 80, a(farm.HealthHTTP, path("//b/c?")), "GET //b/c? HTTP/1.1|Host: 192.0.2.1"},
		{ip4, 80, a(farm.HealthHTTP, path("/*"), method("OPTIONS")), "OPTIONS /* HTTP/1.1|Host: 192.0.2.1"},
	} {
		c := &check{Target: target(tt.address, tt.port, tt.check)}
		request, err := c.request()
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if err := request.Write(&got); err != nil {
			t.Fatal(err)
		}
		want := tt.want + "|User-Agent: farmc-health|Connection: close|Accept: */*||"
		if got.String() != strings.ReplaceAll(want, "|", "\r\n") {
			t.Errorf("the request is %q, want %q", got.String(), want)
		}
	}
}

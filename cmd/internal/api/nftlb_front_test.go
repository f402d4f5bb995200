package api

import (
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"testing"

	"farmc/cmd/internal/apikey"
)

// nftlbSites are a server with the routes of nftlb, and a front before it. Both have the same keys.
func nftlbSites(t *testing.T) (direct, front *site) {
	t.Helper()
	direct = newSite(t, siteFiles)
	direct.Writer = succeeding{}
	direct.ServeNFTLB(NFTLB{Dir: t.TempDir()})
	front = &site{keys: direct.keys, secret: direct.secret}
	keys := apikey.NewFile(func() (io.ReadCloser, error) { return os.Open(direct.keys) }, front.log)
	front.Server = newFront(front.forwarder(direct.serveRelay(t)), keys, slices.Concat(Routes(), nftlbRoutes()))
	direct.address = direct.serve(t, listen(t))
	front.address = front.serve(t, listen(t))
	return direct, front
}

// TestNFTLBBehindAFront: requests to the API of nftlb get the same answers from farmc watch and from a front before it.
func TestNFTLBBehindAFront(t *testing.T) {
	direct, front := nftlbSites(t)
	gzip := map[string]string{"Content-Encoding": "gzip"}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for _, test := range []struct {
		exchange
		want int
	}{
		{exchange{key: "reader", path: "/farms"}, 200},
		{exchange{key: "reader", path: "/farms/"}, 200},
		{exchange{key: "reader", path: "/farms/web"}, 200},
		{exchange{key: "reader", path: "/farms/web/backends"}, 200},
		{exchange{key: "reader", path: "/farms/web/sessions"}, 200},
		{exchange{key: "reader", path: "/policies"}, 200},
		{exchange{key: "reader", path: "/addresses"}, 200},
		{exchange{key: "reader", method: "HEAD", path: "/farms"}, 200},
		{exchange{key: "reader", path: "/farms/none"}, 404},
		{exchange{key: "reader", path: "/farms/web/colour"}, 404},
		{exchange{key: "reader", method: "OPTIONS", path: "/farms"}, 405},
		{exchange{path: "/farms"}, 401},
		{exchange{key: "reader", method: "POST", path: "/farms", body: "{}"}, 403},
		{exchange{key: "limited", method: "DELETE", path: "/farms"}, 403},
		{exchange{key: "writer", method: "POST", path: "/farms", body: "{}"}, 200},
		{exchange{key: "writer", method: "PUT", path: "/farms", header: form,
			body: `{"farms": [{"name": "new", "virtual-addr": "192.0.2.77", "virtual-ports": "80"}]}`}, 200},
		{exchange{key: "writer", method: "POST", path: "/farms", body: "{"}, 400},
		{exchange{key: "writer", method: "POST", path: "/farms", body: `{"farms": [{"name": "web", "x": "y"}]}`}, 400},
		{exchange{key: "writer", method: "POST", path: "/farms", body: "\xff"}, 400},
		{exchange{key: "writer", method: "POST", path: "/farms", body: "{}", header: gzip}, 415},
		{exchange{key: "writer", method: "POST", path: "/farms/web", body: "{}"}, 404},
		{exchange{key: "writer", method: "PATCH", path: "/farms/none/policies", body: "{}"}, 404},
		{exchange{key: "writer", method: "DELETE", path: "/farms/none"}, 404},
		{exchange{key: "writer", method: "DELETE", path: "/farms/web/backends/none"}, 404},
		{exchange{key: "writer", method: "DELETE", path: "/farms/web"}, 409},
	} {
		t.Run(test.method+test.path, func(t *testing.T) {
			a, b := direct.do(t, test.exchange), front.do(t, test.exchange)
			if a.status != test.want {
				t.Errorf("%d %s, want %d", a.status, a.answer, test.want)
			}
			if a.status != b.status || a.answer != b.answer || !sameHeaders(a.got, b.got) {
				t.Errorf("farmc watch: %d %s %v\nfront: %d %s %v", a.status, a.answer, a.got, b.status, b.answer, b.got)
			}
		})
	}
}

// sameHeaders compares headers but for the time.
func sameHeaders(a, b http.Header) bool {
	a, b = a.Clone(), b.Clone()
	a.Del("Date")
	b.Del("Date")
	return maps.EqualFunc(a, b, slices.Equal[[]string])
}

// TestFrontOfAServerWithoutNFTLB: the front has the routes, and farmc watch does not.
func TestFrontOfAServerWithoutNFTLB(t *testing.T) {
	direct := newSite(t, siteFiles)
	keys := apikey.NewFile(func() (io.ReadCloser, error) { return os.Open(direct.keys) }, direct.log)
	front := &site{keys: direct.keys, secret: direct.secret}
	front.Server = newFront(front.forwarder(direct.serveRelay(t)), keys, slices.Concat(Routes(), nftlbRoutes()))
	front.address = front.serve(t, listen(t))
	for _, x := range []exchange{{key: "reader", path: "/farms"}, {key: "writer", method: "POST", path: "/farms"}} {
		if got := front.do(t, x); got.status != 404 {
			t.Errorf("%s: %d %s", x.method, got.status, got.answer)
		}
	}
}

package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The headers hold for farms and for lists alike.
func TestPreconditions(t *testing.T) {
	text := []byte("{}")
	tag, other := etag(text), etag([]byte("{} "))
	for _, tt := range []struct {
		header, value string
		old, fresh    bool // permits a change of the text, or the creation
	}{
		{"If-Match", tag, true, false},
		{"If-Match", other + " , " + tag, true, false},
		{"If-Match", "*", true, false},
		{"If-Match", other, false, false},
		{"If-Match", "W/" + tag, false, false},
		{"If-Match", "", false, false},
		{"If-None-Match", tag, false, true},
		{"If-None-Match", other + "," + tag, false, true},
		{"If-None-Match", "*", false, true},
		{"If-None-Match", other, true, true},
		{"Accept", "*", true, true},
	} {
		r := httptest.NewRequest("PUT", "/", nil)
		r.Header.Set(tt.header, tt.value)
		for before, want := range map[*[]byte]bool{&text: tt.old, new([]byte): tt.fresh} {
			for what, err := range map[string]error{"farm": condition(r.Header)(*before),
				"list": preconditions(r, *before)} {
				if (err == nil) != want || err != nil && problemOf(err).status != http.StatusPreconditionFailed {
					t.Errorf("%s: %s: a change of the %s %q gives %v", tt.header, tt.value, what, *before, err)
				}
			}
		}
	}
}

// A condition that a request to change something would not obey is refused.
func TestConditionsWithoutEffect(t *testing.T) {
	s := start(t, siteFiles)
	s.Writer, s.Applier = succeeding{}, succeeding{}
	for request, want := range map[string]int{
		"PUT /v1/farms/web/backends/b1/health": 400, "DELETE /v1/farms/web/backends/b1/health": 400,
		"PUT /v1/health": 400, "PUT /v1/farms/web/bans/192.0.2.1": 400, "DELETE /v1/farms/web/bans/192.0.2.1": 400,
		"DELETE /v1/farms/web/sessions": 400, "POST /v1/apply": 400, "POST /v1/confirm": 400, "POST /v1/rollback": 400,
		"PATCH /v1/farms/web": 200, "DELETE /v1/farms/web/backends/b1": 200,
	} {
		method, path, _ := strings.Cut(request, " ")
		for _, header := range []string{"If-Match", "If-None-Match"} {
			x := s.do(t, exchange{key: "writer", method: method, path: path, body: "{}",
				header: map[string]string{header: `"nope"`}})
			if x.status != want || (want == 400) != strings.Contains(x.answer, "this request takes no "+header) {
				t.Errorf("%s, %s: %d %s", request, header, x.status, x.answer)
			}
		}
	}
}

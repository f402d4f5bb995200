package api

import (
	"net/http"
	"net/http/httptest"
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

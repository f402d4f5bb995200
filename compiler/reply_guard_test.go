package compiler_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// TestReplySources: a guard knows replies by all that the rules know them by.
func TestReplySources(t *testing.T) {
	const stateless = "mode = \"stateless\"\n"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"a service", stateless + `
			listen = ["192.0.2.1:80", "192.0.2.1:81/udp", "[2001:db8::1]:80"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			port = 8080
			[backends.b2]
			address = ["10.2.0.12"]
			state = "down"
		`, []string{"6 10.2.0.11 8080", "6 10.2.0.12 80", "6 fd00:2::11 8080", "17 10.2.0.11 8080",
			"17 10.2.0.12 81"}},
		{"ports", stateless + `
			listen = "192.0.2.1:4000-4999/sctp"
			[backends.b1]
			address = "10.2.0.11"
		`, []string{"132 10.2.0.11 4000-4999"}},
		{"a protocol and all protocols", stateless + `
			listen = ["192.0.2.1/esp", "[2001:db8::1]/all"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`, []string{"0 fd00:2::11 0-65535", "50 10.2.0.11 0-65535"}},
		{"a farm that is down", stateless + `
			state = "down"
			listen = "192.0.2.1:80"
			[backends.b1]
			address = "10.2.0.11"
		`, nil},
		{"another mode", `
			listen = "192.0.2.1:80"
			[backends.b1]
			address = "10.2.0.11"
		`, nil},
	} {
		script, told := compiler.Compile([]farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(c.text)}}}})
		if script == nil {
			t.Errorf("%s: %v", c.name, told)
			continue
		}
		var got []string
		for _, s := range ruleset.ReplySources(script.Farms) {
			got = append(got, fmt.Sprintf("%d %s %s", s.Protocol, s.Address, s.Ports))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestReplySourcesOfGoldens: each golden with a stateless farm has replies, and no other one.
func TestReplySourcesOfGoldens(t *testing.T) {
	t.Parallel()
	guards := 0
	for _, name := range compilertest.Cases(t) {
		s, told := compiler.Compile(compilertest.CaseDirs(t, name))
		if told.Faulty() {
			continue
		}
		sources := ruleset.ReplySources(s.Farms)
		if want := hasStateless(s.Farms); want != (len(sources) > 0) {
			t.Errorf("%s: has %d sources of replies, has a stateless farm: %v", name, len(sources), want)
		}
		guards += min(len(sources), 1)
	}
	if guards < 5 {
		t.Errorf("%d goldens have a guard", guards)
	}
}

func hasStateless(farms []*farm.Farm) bool {
	for _, f := range farms {
		if f.Mode == farm.Stateless && !f.Down {
			return true
		}
	}
	return false
}

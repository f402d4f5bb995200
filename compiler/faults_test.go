package compiler_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// TestFaultsNameTheirFarm: --isolate leaves out the farms that have some.
func TestFaultsNameTheirFarm(t *testing.T) {
	_, told := compiler.Compile([]farm.Dir{{FS: fstest.MapFS{
		"a.toml": {
			Data: []byte("listen = '192.0.2.10:80'\n[backends.b1]\naddress = '10.0.0.11'\nweight = 0\n"),
		},
		"b.toml":          {Data: []byte("x")},
		"c.toml":          {Data: []byte("listen = '192.0.2.10:80'\n[backends.b1]\naddress = '10.0.0.11'\n")},
		"c.toml.d/x.toml": {Data: []byte("y = 1")},
	}}})
	var got []string
	for _, d := range told {
		got = append(got, d.Farm+" "+d.Place.File)
	}
	if got, want := strings.Join(got, ", "), "a a.toml, b b.toml, c c.toml, c c.toml.d/x.toml"; got != want {
		t.Errorf("got %s, want %s\n%s", got, want, compilertest.Printed(told))
	}
}

package compiler_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// A base chain asks tables of maglev with the frontend in their keys while they have at most 32768 slots, and while it
// asks the maps of two kinds at most. Frames of scheduler hash never wait for them, and frames of IPv6 pass no base
// chain that is there for tables alone.
func TestTablesAskedFirst(t *testing.T) {
	const form = `mode = "dsr"
listen = ["192.0.2.%d:80"]
interfaces = "eth0"
%s
[backends.b1]
address = "10.2.0.11"
[backends.b2]
address = "10.2.0.12"
`
	const ip6 = `mode = "dsr"
listen = "[2001:db8::1]:80"
interfaces = "eth0"
scheduler = "hash"
backends.b1.address = "fd00:2::11"
`
	maglev := func(number int, keys string) (out []string) {
		for range number {
			out = append(out, keys)
		}
		return out
	}
	const mac, ports = `hash-on = ["source-mac", "source-port"]`, `hash-on = ["source-address", "source-port"]`
	for _, c := range []struct {
		name  string
		farms []string // their keys
		maps  string   // that the base chain asks for packets that open no connection, in their order
		table bool     // a table without frontends is left
		ip6   bool     // a farm of IPv6 takes its frames there, too
	}{
		{"one", maglev(1, ""), "dsr-maglev-saddr-4093", true, false},
		{"eight", maglev(8, ""), "dsr-maglev-saddr-4093", true, false},
		{"nine", maglev(9, ""), "", true, false},
		{"two kinds", []string{ports, ""}, "dsr-maglev-saddr-4093 dsr-maglev-saddr-sport-4093", true, false},
		{"three kinds", []string{ports, "", "table-size = 7"}, "", true, false},
		{"beside hash", []string{"", `scheduler = "hash"`}, "dsr-hash-saddr-2 dsr-maglev-saddr-4093", true, false},
		{"beside symmetric hash", []string{"", `scheduler = "symmetric-hash"`},
			"dsr-symmetric-hash-2 dsr-maglev-saddr-4093", true, false},
		{"without fragments and errors", maglev(1, mac), "dsr-maglev-sport-smac-4093", false, false},
		{"too wide", maglev(1, `hash-on = ["source-mac", "destination-mac", "source-port"]`), "", true, false},
		{"beside persistence", []string{"", `[persistence]`}, "dsr-maglev-saddr-4093", true, false},
		{"beside IPv6", maglev(1, ""), "", true, true},
		{"beside IPv6 and hash", []string{"", `scheduler = "hash"`},
			"dsr-hash-saddr-2 dsr-maglev-saddr-4093", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for i, keys := range c.farms {
				files[fmt.Sprintf("farm%d.toml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, form, i+1, keys)}
			}
			if c.ip6 {
				files["ip6.toml"] = &fstest.MapFile{Data: []byte(ip6)}
			}
			script, told := compiler.Compile([]farm.Dir{{FS: files}})
			if told.Faulty() {
				t.Fatal(compilertest.Printed(told))
			}
			var maps []string
			for line := range strings.Lines(string(script.Text)) {
				if _, after, ok := strings.Cut(line, "0x20000 == 0x0 fwd"); ok {
					_, after, _ = strings.Cut(after, "map @slots-")
					name, _, _ := strings.Cut(after, "-ip4/")
					maps = append(maps, name)
				}
			}
			if got := strings.Join(maps, " "); got != c.maps {
				t.Errorf("asked first: %q instead of %q", got, c.maps)
			}
			if left := strings.Contains(string(script.Text), "map slots-maglev-"); left != c.table {
				t.Errorf("a table without frontends: %t", left)
			}
			if counts := strings.Contains(string(script.Text), "set new-slots-maglev-"); counts != (c.maps == "") {
				t.Errorf("a set that counts for a table without frontends: %t", counts)
			}
		})
	}
}

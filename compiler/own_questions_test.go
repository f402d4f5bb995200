package compiler_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// TestOwnQuestions: questions are remembered for ranges that include a port which the machine gives to clients, and for
// whole addresses.
func TestOwnQuestions(t *testing.T) {
	known := farm.Ports{First: 20000, Last: 29999}
	for _, c := range []struct {
		listen  string
		clients farm.Ports
		want    bool
	}{
		{"192.0.2.1:30000-32767/udp", farm.Ports{}, false},
		{"192.0.2.1:30000-32768/udp", farm.Ports{}, true},
		{"192.0.2.1:60999-65535/udp", farm.Ports{}, true},
		{"192.0.2.1:61000-65535/udp", farm.Ports{}, false},
		{"192.0.2.1:40000/udp", farm.Ports{}, false},
		{"192.0.2.1/all", farm.Ports{}, true},
		{"192.0.2.1:40000-49999/udp", known, false},
		{"192.0.2.1:29999-30000/udp", known, true},
	} {
		for _, mode := range []string{"stateless", "dsr\"\ninterfaces = \"eth0", "dnat"} {
			text := "mode = \"" + mode + "\"\nlisten = \"" + c.listen + "\"\nbackends.b1.address = \"10.2.0.11\"\n"
			dirs := []farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(text)}}}}
			script, told := new(compiler.Compiler).CompileFor(dirs, ruleset.Machine{ClientPorts: c.clients})
			if told.Faulty() {
				t.Fatal(compilertest.Printed(told))
			}
			want := c.want && mode != "dnat"
			if got := strings.Contains(string(script.Text), "set own-questions-ip4"); got != want {
				t.Errorf("%s in mode %s: remembered is %t, want %t", c.listen, mode, got, want)
			}
		}
	}
}

package compiler_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

const gatewayFarm = `mode = "stateless"
listen = "192.0.2.10:80"
interfaces = "eth0"
gateway = "10.1.0.2"
[backends.b1]
address = "10.2.0.11"
`

// Replies to this machine are left alone: rules compare few addresses, look up more of them in a set, and ask the
// kernel where the addresses are not known. Other addresses make another script.
func TestOwnAddresses(t *testing.T) {
	dirs := []farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(gatewayFarm)}}}}
	var compiled compiler.Compiler
	for _, c := range []struct{ addresses, rule, untracked string }{
		{"", "fib daddr type != local ip saddr set", "fib daddr type != local notrack"},
		{"10.1.0.1", "ip daddr != 10.1.0.1 ip saddr set", "ip daddr != 10.1.0.1 notrack"},
		{"10.1.0.1 10.2.0.1 fd00:1::1", "ip daddr != 10.1.0.1 ip daddr != 10.2.0.1 ip saddr set",
			"ip daddr != 10.1.0.1 ip daddr != 10.2.0.1 notrack"},
		{"10.1.0.1 10.2.0.1 192.0.2.10", "ip daddr != @this-machine-ip4 ip saddr set",
			"ip daddr != @this-machine-ip4 notrack"},
		{"10.1.0.1 10.2.0.1 192.0.2.11", "ip daddr != @this-machine-ip4 ip saddr set", "\t\t\t192.0.2.11,\n"},
	} {
		script, told := compiled.CompileFor(dirs, ruleset.Machine{Addresses: func() (out []netip.Addr) {
			for _, word := range strings.Fields(c.addresses) {
				out = append(out, netip.MustParseAddr(word))
			}
			return out
		}})
		if told.Faulty() {
			t.Fatal(told)
		}
		for _, want := range []string{c.rule, c.untracked} {
			if !strings.Contains(string(script.Text), want) {
				t.Errorf("with the addresses %q no %q in\n%s", c.addresses, want, script.Text)
			}
		}
	}
}

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

// ownShareFarm has two machines as its backends, each of which can be a balancer. Backend two is down.
const ownShareFarm = `mode = "dsr"
listen = ["192.0.2.10:80", "[2001:db8::10]:80"]
interfaces = "eth0"
scheduler = "hash"
[backends.one]
address = ["10.2.0.1", "fd00:2::1"]
[backends.other]
address = ["10.2.0.9", "fd00:2::9"]
[backends.two]
address = ["10.2.0.2", "fd00:2::2"]
state = "down"
`

// The maps lack the share of the machine itself, whose frames go on to its stack. A machine that is a backend in any
// state keeps frames that another balancer handed on, and hands on each frame for the last time. The script of a
// machine that is no backend is the same as that of an unknown one. The same Compiler follows the addresses.
func TestOwnShare(t *testing.T) {
	dirs := []farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(ownShareFarm)}}}}
	plain, _ := compiler.Compile(dirs)
	var compiled compiler.Compiler
	for _, c := range []struct {
		addresses   string
		own, serves bool // this machine is a backend, and has a share
	}{
		{"10.2.0.1 192.0.2.10 2001:db8::10 fd00:2::1", true, true},
		{"10.2.0.2 fd00:2::2", true, false},
		{"10.2.0.3 192.0.2.10 fd00:2::3", false, false},
		{"10.2.0.1 fd00:2::1", true, true},
		{"", false, false},
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
		text := string(script.Text)
		if !c.own && text != string(plain.Text) {
			t.Errorf("with the addresses %q:\n%s", c.addresses, text)
		}
		for _, rule := range []string{"ip ttl 1 accept", "ip6 hoplimit 1 accept", "ip ttl set 2", "ip6 hoplimit set 2",
			"meta mark set 0x0"} {
			if strings.Contains(text, rule) != c.own {
				t.Errorf("with the addresses %q is %q in the script: %t\n%s", c.addresses, rule, !c.own, text)
			}
		}
		for _, slot := range []string{" : 10.2.0.1,", " : fd00:2::1,"} {
			if strings.Contains(text, slot) == c.serves {
				t.Errorf("with the addresses %q is %q in the script: %t\n%s", c.addresses, slot, c.serves, text)
			}
		}
	}
}

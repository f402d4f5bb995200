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
	compileOnMachines(t, gatewayFarm, []ownAddressesCase{
		{"", []string{"fib daddr type != local ip saddr set", "fib daddr type != local notrack"}},
		{"10.1.0.1", []string{"ip daddr != 10.1.0.1 ip saddr set", "ip daddr != 10.1.0.1 notrack"}},
		{"10.1.0.1 10.2.0.1 fd00:1::1", []string{"ip daddr != 10.1.0.1 ip daddr != 10.2.0.1 ip saddr set",
			"ip daddr != 10.1.0.1 ip daddr != 10.2.0.1 notrack"}},
		{"10.1.0.1 10.2.0.1 192.0.2.10", []string{"ip daddr != @this-machine-ip4 ip saddr set",
			"ip daddr != @this-machine-ip4 notrack"}},
		{"10.1.0.1 10.2.0.1 192.0.2.11", []string{"ip daddr != @this-machine-ip4 ip saddr set",
			"\t\t\t192.0.2.11,\n"}},
	})
}

const gatewayFarm6 = `mode = "stateless"
listen = "[2001:db8::10]:80/tcp,udp"
interfaces = "eth0"
gateway = "fd00:1::2"
[backends.b1]
address = "fd00:2::11"
`

// The rules of IPv6 compare the last four bytes of an address first.
func TestOwnAddressesOfIPv6(t *testing.T) {
	compileOnMachines(t, gatewayFarm6, []ownAddressesCase{
		{"", []string{"fib daddr type != local ip6 saddr set"}},
		{"10.1.0.1 fd00:1::1", []string{"\t\t@nh,288,32 0x1 ip6 daddr fd00:1::1 accept\n",
			"0x20000 == 0x0 ip6 saddr set", "\t\tip6 nexthdr udp ip6 saddr set"}},
		{"fd00:1::1 fd00:2::1:0", []string{"\t\t@nh,288,32 0x1 ip6 daddr fd00:1::1 accept\n" +
			"\t\t@nh,288,32 0x10000 ip6 daddr fd00:2::1:0 accept\n\t\tip6 nexthdr tcp"}},
		{"fd00:1::1 fd00:2::1 fd00:2::abcd:ef01", []string{
			"\t\t@nh,288,32 @this-machine-ip6/ends ip6 daddr @this-machine-ip6 accept\n\t\tip6 nexthdr tcp",
			"\t\ttypeof @nh,288,32\n\t\tsize 16\n\t\telements = {\n\t\t\t0x1,\n\t\t\t0xabcdef01,\n\t\t}\n",
			"\t\t\tfd00:1::1,\n\t\t\tfd00:2::1,\n\t\t\tfd00:2::abcd:ef01,\n"}},
	})
}

// An ownAddressesCase is a machine's addresses, and parts of the script for it.
type ownAddressesCase struct {
	addresses string
	parts     []string
}

// compileOnMachines compiles a farm with one compiler for machines with other addresses.
func compileOnMachines(t *testing.T, text string, cases []ownAddressesCase) {
	t.Helper()
	dirs := []farm.Dir{{FS: fstest.MapFS{"web.toml": {Data: []byte(text)}}}}
	var compiled compiler.Compiler
	for _, c := range cases {
		script, told := compiled.CompileFor(dirs, ruleset.Machine{Addresses: func() (out []netip.Addr) {
			for _, word := range strings.Fields(c.addresses) {
				out = append(out, netip.MustParseAddr(word))
			}
			return out
		}})
		if told.Faulty() {
			t.Fatal(told)
		}
		for _, want := range c.parts {
			if !strings.Contains(string(script.Text), want) {
				t.Errorf("with the addresses %q no %q in\n%s", c.addresses, want, script.Text)
			}
		}
	}
}

package packettest

import (
	"fmt"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestFTP transfers files, because the address of a data connection is part of the control connection, and differs
// between the two sides of the balancer. That is the purpose of a helper.
func TestFTP(t *testing.T) {
	t.Parallel()
	runCases(t, []testCase{
		ftpCase("snat", "snat", netlab.Options{}),
		ftpCase("snat-one-armed", "snat", netlab.Options{OneArmed: true}),
		ftpCase("dnat", "dnat", netlab.Options{}),
	})
}

// strict is a firewall that forwards only connections that conntrack knows as a farm's.
const strict = nftScript(`table inet firewall {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		ct status dnat accept
	}
}`)

func ftpCase(name, mode string, lab netlab.Options) testCase {
	farm := func(listen, keys string) string {
		return fmt.Sprintf(`
			mode   = %q
			listen = [%s]
			%s
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			port    = 2121
		`, mode, listen, keys)
	}
	const ftp = `helper = "ftp"`
	return testCase{name: name, lab: lab, steps: steps{
		serveFTP{21, 2121, 2150},
		strict,
		farms{
			"port":      farm(`"192.0.2.1:21", "[2001:db8::1]:21"`, ftp),
			"range":     farm(`"192.0.2.1:2100-2199", "[2001:db8::1]:2100-2199"`, ftp),
			"any":       farm(`"*:21,2100-2199"`, ftp),
			"in-range":  farm(`"192.0.2.1:2121", "[2001:db8::1]:2121"`, ``),
			"under-any": farm(`"192.0.2.2:21", "[2001:db8::2]:21"`, ``),
		},
		retrieve{to: "192.0.2.1:21 192.0.2.1:2150 192.0.2.3:21 192.0.2.3:2150", ways: "PASV EPSV PORT EPRT"},
		retrieve{to: "[2001:db8::1]:21 [2001:db8::1]:2150 [2001:db8::3]:21 [2001:db8::3]:2150", ways: "EPSV EPRT"},
		unhelped{"192.0.2.1:2121 [2001:db8::1]:2121 192.0.2.2:21 [2001:db8::2]:21"},
		farms{"port": farm(`"192.0.2.1:21", "[2001:db8::1]:21"`, ``)},
		unhelped{"192.0.2.1:21 [2001:db8::1]:21"},
	}}
}

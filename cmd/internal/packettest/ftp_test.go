package packettest

import (
	"fmt"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestFTP transfers files, as that is what a helper is for: where a data connection goes to is said inside of the control
// connection, and is not the same on both sides of the balancer.
func TestFTP(t *testing.T) {
	t.Parallel()
	play(t, []scene{
		ftpScene("snat", "snat", netlab.Options{}),
		ftpScene("snat-one-armed", "snat", netlab.Options{OneArmed: true}),
		ftpScene("dnat", "dnat", netlab.Options{}),
	})
}

// strict is somebody else's firewall, which forwards only what connection tracking knows to be a farm's.
const strict = foreign(`table inet firewall {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		ct status dnat accept
	}
}`)

func ftpScene(name, mode string, lab netlab.Options) scene {
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
	return scene{name: name, lab: lab, steps: steps{
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

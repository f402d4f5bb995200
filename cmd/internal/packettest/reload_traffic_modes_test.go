package packettest

import (
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// A farm that runs gets another mode by the edit of one word, while clients open connections all the time, by TCP and
// UDP and both families. Those that were open may break, as what they go by is gone; every one that is opened after
// the switch works.
func TestSwitchModes(t *testing.T) {
	t.Parallel()
	play(t, []scene{
		{name: "one-armed", lab: netlab.Options{OneArmed: true, NoVIPs: true, BackendVIPs: true}, steps: steps{
			backByBalancer, switches(func(mode string) string { return anyMode(mode, `interfaces = ["eth0"]`, "") }),
		}},
		{name: "two-armed", lab: netlab.Options{NoVIPs: true, BackendVIPs: true}, steps: steps{
			switches(func(mode string) string {
				switch mode {
				case "dsr", "stateless":
					return anyMode(mode, `interfaces = ["eth0"]`, `interface = "eth1"`)
				case "stateless in prerouting":
					return anyMode("stateless", "", "")
				}
				return anyMode(mode, "", "")
			}, "stateless in prerouting"),
		}},
	})
}

func anyMode(mode, farm, backend string) string {
	return strings.NewReplacer("MODE", mode, "FARM", farm, "BACKEND", backend).Replace(`
		mode       = "MODE"
		listen     = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
		scheduler  = "maglev"
		table-size = 251
		FARM
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		BACKEND
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		BACKEND
	`)
}

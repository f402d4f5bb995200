package packettest

import (
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestModeSwitchUnderTraffic changes the mode of a loaded farm, while clients open connections all the time, over TCP
// and UDP and in both families. Open connections may break, because their state is gone. Every connection after the
// switch works.
func TestModeSwitchUnderTraffic(t *testing.T) {
	t.Parallel()
	runCases(t, []testCase{
		{name: "one-armed", lab: netlab.Options{OneArmed: true, NoVIPs: true, BackendVIPs: true}, steps: steps{
			returnByBalancer, switchModes(func(mode string) string {
				return farmInMode(mode, `interfaces = ["eth0"]`,
					"")
			}),
		}},
		{name: "two-armed", lab: netlab.Options{NoVIPs: true, BackendVIPs: true}, steps: steps{
			switchModes(func(mode string) string {
				switch mode {
				case "dsr", "stateless":
					return farmInMode(mode, `interfaces = ["eth0"]`, `interface = "eth1"`)
				case "stateless in prerouting":
					return farmInMode("stateless", "", "")
				}
				return farmInMode(mode, "", "")
			}, "stateless in prerouting"),
		}},
	})
}

func farmInMode(mode, farm, backend string) string {
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

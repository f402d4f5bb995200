package packettest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestMaglev: when one of 10 backends goes, its own clients move, and at most 2 % of the others. When it is back, all
// clients have their old backends. Another machine with the same farm sends every client to the same backend.
func TestMaglev(t *testing.T) {
	t.Parallel()
	lab := netlab.Options{Backends: 10}
	direct := netlab.Options{Backends: 10, BackendVIPs: true, DirectReturn: true, NoForwarding: true}
	for _, c := range []struct {
		name, farm, to string
		less           func(farm string) string
		lab            netlab.Options
	}{
		{"dnat-ip4", maglevFarm("dnat", `hash-on = ["source-address", "source-port"]`), "192.0.2.1:80", withoutB1, lab},
		{"dnat-ip6", maglevFarm("dnat", ""), "[2001:db8::1]:80", withoutB1, lab},
		{"dsr-ip4", maglevFarm("dsr", `hash-on = ["source-address", "source-port"]`), "192.0.2.1:80", withB1Down,
			direct},
		{"dsr-ip6", maglevFarm("dsr", ""), "[2001:db8::1]:80", withB1Down, direct},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, to := newTestbed(t, c.lab), netip.MustParseAddrPort(c.to)
			first := s.requestFromMany(c.farm, to)
			if moved, others := first.moved(s.requestFromMany(c.less(c.farm), to), "b1"); others < maglevClients*8/10 ||
				moved*100 > 2*others {
				t.Errorf("without b1 %d of the other backends' %d clients move", moved, others)
			}
			if moved, _ := first.moved(s.requestFromMany(c.farm, to), ""); moved > 0 {
				t.Errorf("with b1 again %d clients have another backend than before", moved)
			}
			if moved, _ := first.moved(newTestbed(t, c.lab).requestFromMany(c.farm, to), ""); moved > 0 {
				t.Errorf("another machine sends %d clients elsewhere", moved)
			}
		})
	}
}

func withoutB1(farm string) string {
	return farm[:strings.Index(farm, "[backends.b1]")] + farm[strings.Index(farm, "[backends.b2]"):]
}

func withB1Down(farm string) string {
	return strings.Replace(farm, "[backends.b1]", "[backends.b1]\nstate = \"down\"", 1)
}

// maglevFarm is a farm of b1 to b10.
func maglevFarm(mode, more string) string {
	text := fmt.Sprintf(`
		mode      = %q
		listen    = ["192.0.2.1:80/udp", "[2001:db8::1]:80/udp"]
		scheduler = "maglev"
		%s
	`, mode, more)
	if mode == "dsr" {
		text += "interfaces = \"eth0\"\n"
	}
	for i := range 10 {
		text += fmt.Sprintf("[backends.b%d]\naddress = [\"10.2.0.%d\", \"fd00:2::%d\"]\n", i+1, 11+i, 11+i)
		if mode == "dsr" {
			text += "interface = \"eth1\"\n"
		}
	}
	return text
}

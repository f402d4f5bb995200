package packettest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestMaglev: when one of 10 backends goes its own clients move, and at most 2 % of the others'; once it is back all is
// as before; and another machine with the same farm sends every client to the same backend.
func TestMaglev(t *testing.T) {
	t.Parallel()
	lab := netlab.Options{Backends: 10}
	direct := netlab.Options{Backends: 10, BackendVIPs: true, DirectReturn: true, NoForwarding: true}
	for _, c := range []struct {
		name, farm, to string
		less           func(farm string) string
		lab            netlab.Options
	}{
		{"dnat-ip4", maglevs("dnat", `hash-on = ["source-address", "source-port"]`), "192.0.2.1:80", gone, lab},
		{"dnat-ip6", maglevs("dnat", ""), "[2001:db8::1]:80", gone, lab},
		{"dsr-ip4", maglevs("dsr", `hash-on = ["source-address", "source-port"]`), "192.0.2.1:80", down, direct},
		{"dsr-ip6", maglevs("dsr", ""), "[2001:db8::1]:80", down, direct},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, to := newStage(t, c.lab), netip.MustParseAddrPort(c.to)
			first := s.crowd(c.farm, to)
			if moved, others := first.moved(s.crowd(c.less(c.farm), to), "b1"); others < crowdSize*8/10 || moved*100 > 2*others {
				t.Errorf("without b1 %d of the others' %d clients move", moved, others)
			}
			if moved, _ := first.moved(s.crowd(c.farm, to), ""); moved > 0 {
				t.Errorf("b1 is back: %d clients are elsewhere than before", moved)
			}
			if moved, _ := first.moved(newStage(t, c.lab).crowd(c.farm, to), ""); moved > 0 {
				t.Errorf("another machine sends %d clients elsewhere", moved)
			}
		})
	}
}

func gone(farm string) string {
	return farm[:strings.Index(farm, "[backends.b1]")] + farm[strings.Index(farm, "[backends.b2]"):]
}

func down(farm string) string {
	return strings.Replace(farm, "[backends.b1]", "[backends.b1]\nstate = \"down\"", 1)
}

// maglevs is a farm of b1 to b10.
func maglevs(mode, more string) string {
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

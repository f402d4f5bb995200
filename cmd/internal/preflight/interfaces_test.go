package preflight

import (
	"net"
	"slices"
	"testing"

	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
)

// An interface of a bond is a finding in the modes whose rules see IP packets, with the name of the bond as the remedy.
// The bond itself is none.
func TestPortsOfBonds(t *testing.T) {
	bond := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0", Index: 5, Flags: net.FlagUp})
	port := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "eth0", Index: 2, MasterIndex: 5, Flags: net.FlagUp}}
	for _, c := range []struct {
		mode farm.Mode
		name string
		want []string // remedies
	}{
		{farm.SNAT, "eth0", []string{`interfaces = ["bond0"]`}},
		{farm.DNAT, "eth0", []string{`interfaces = ["bond0"]`}},
		{farm.DSR, "eth0", nil},
		{farm.Stateless, "eth0", nil},
		{farm.SNAT, "bond0", nil},
		{farm.DSR, "bond0", nil},
	} {
		s := &search{machine: &machine{links: map[string]netlink.Link{"eth0": port, "bond0": bond},
			names: map[int]string{2: "eth0", 5: "bond0"}},
			farms: []*farm.Farm{{Name: "web", Mode: c.mode, Interfaces: []string{c.name}}}}
		s.interfaces()
		var got []string
		for _, f := range s.found.all {
			got = append(got, f.Advice)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("mode %s with interfaces = [%q]: %q, want %q", c.mode, c.name, got, c.want)
		}
	}
}

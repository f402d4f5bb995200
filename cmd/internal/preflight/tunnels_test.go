package preflight

import (
	"net"
	"net/netip"
	"testing"

	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
)

// A farm that takes a protocol of an address takes the packets of this machine's tunnels there. Kernels of test
// machines have neither GRE nor ESP, so the interfaces are values.
func TestTunnels(t *testing.T) {
	own, other := net.ParseIP("10.1.0.1"), net.ParseIP("10.9.0.1")
	gre := &netlink.Gretun{LinkAttrs: netlink.LinkAttrs{Name: "g"}, Local: own}
	for _, c := range []struct {
		name     string
		link     netlink.Link
		mode     farm.Mode
		address  string
		bits     int
		protocol farm.Protocol
		takeOver bool
		found    bool
	}{
		{"gre", gre, farm.SNAT, "10.1.0.1", 0, farm.GRE, false, true},
		{"whole-address", gre, farm.DNAT, "10.1.0.1", 0, farm.AnyProtocol, false, true},
		{"network", gre, farm.SNAT, "10.1.0.0", 24, farm.GRE, false, true},
		{"gretap", &netlink.Gretap{Local: own}, farm.Stateless, "10.1.0.1", 0, farm.GRE, false, true},
		{"ipip", &netlink.Iptun{Local: own}, farm.SNAT, "10.1.0.1", 0, farm.AnyProtocol, false, true},
		{"another-protocol", gre, farm.SNAT, "10.1.0.1", 0, farm.ESP, false, false},
		{"another-address-of-the-farm", gre, farm.SNAT, "10.1.0.2", 0, farm.GRE, false, false},
		{"another-address-of-the-tunnel", &netlink.Gretun{Local: other}, farm.SNAT, "10.1.0.1", 0, farm.GRE, false,
			false},
		{"no-address-of-the-tunnel", &netlink.Gretun{}, farm.SNAT, "10.1.0.1", 0, farm.GRE, false, false},
		{"address-of-no-interface", &netlink.Gretun{Local: other}, farm.SNAT, "10.9.0.1", 0, farm.GRE, false, false},
		{"in-udp", &netlink.Gretun{Local: own, EncapType: 1}, farm.SNAT, "10.1.0.1", 0, farm.GRE, false, false},
		{"local", gre, farm.Local, "10.1.0.1", 0, farm.GRE, false, false},
		{"take-over", gre, farm.SNAT, "10.1.0.1", 0, farm.GRE, true, false},
		{"no-tunnel", &netlink.Dummy{}, farm.SNAT, "10.1.0.1", 0, farm.GRE, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &farm.Farm{Name: "web", Mode: c.mode, TakeOver: c.takeOver, Listen: []farm.Listen{{
				Address: netip.MustParseAddr(c.address), Bits: c.bits, Families: []addr.Family{addr.IP4},
				Protocols: []farm.Protocol{c.protocol}}}}
			m := &machine{routes: newRoutes(), links: map[string]netlink.Link{"g": c.link},
				addresses: map[netip.Addr]ownAddress{netip.MustParseAddr("10.1.0.1"): {}}}
			defer m.routes.close()
			s := &search{machine: m, farms: []*farm.Farm{f}}
			s.tunnels()
			if found := len(s.found.all) > 0; found != c.found {
				t.Errorf("found %v", s.found.all)
			}
			if c.name == "gre" && s.found.all[0].Text() !=
				"interface g gets gre packets at 10.1.0.1, and the farm takes them (farm web)" {
				t.Error(s.found.all[0].Text())
			}
		})
	}
}

// States of IPsec are tunnels to their destination, unless UDP carries their packets.
func TestTunnelsOfIPsec(t *testing.T) {
	to := net.ParseIP("10.1.0.1")
	esp := tunnel{"IPsec (ip xfrm state)", farm.ESP, netip.MustParseAddr("10.1.0.1")}
	ah := esp
	ah.protocol = farm.AH
	got := tunnelsOfIPsec([]netlink.XfrmState{{Dst: to, Proto: netlink.XFRM_PROTO_ESP, Spi: 1},
		{Dst: to, Proto: netlink.XFRM_PROTO_ESP, Spi: 2}, {Dst: to, Proto: netlink.XFRM_PROTO_AH},
		{Dst: net.ParseIP("10.9.0.9"), Proto: netlink.XFRM_PROTO_ESP, Encap: &netlink.XfrmStateEncap{}},
		{Dst: to, Proto: netlink.XFRM_PROTO_COMP}})
	if len(got) != 2 || got[0] != esp || got[1] != ah {
		t.Errorf("got %+v", got)
	}
}

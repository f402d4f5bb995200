package announce

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/testmachine"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// TestDropReplies: the kernel has no way for packets of the sources, one for all others, and one for all afterwards.
// Rules of others with the same preference stay.
func TestDropReplies(t *testing.T) {
	ip(t, "link set lo up")
	ip(t, "link add d0 type veth peer name d1")
	t.Cleanup(func() { ip(t, "link delete d0") })
	ip(t, "address add 10.9.0.1/24 dev d0")
	ip(t, "address add fd00:9::1/64 dev d0 nodad")
	ip(t, "link set d0 up")
	ip(t, "link set d1 up")
	for _, rule := range []string{"-4 rule %s pref 999 lookup 77", "-6 rule %s pref 999 lookup 77",
		"rule %s pref 999 from 10.9.0.99 blackhole"} {
		ip(t, fmt.Sprintf(rule, "add"))
		t.Cleanup(func() { ip(t, fmt.Sprintf(rule, "delete")) })
	}
	v4, v6 := netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("fd00:9::2")
	sources := []ruleset.ReplySource{
		{Protocol: 6, Address: v4, Ports: farm.Ports{First: 8080, Last: 8080}},
		{Protocol: 6, Address: v6, Ports: farm.Ports{First: 8080, Last: 8080}},
		{Protocol: 17, Address: v4, Ports: farm.Ports{First: 1000, Last: 2000}},
		{Protocol: 1, Address: netip.MustParseAddr("10.9.0.3"), Ports: farm.Ports{Last: 65535}},
		{Address: netip.MustParseAddr("10.9.0.4"), Ports: farm.Ports{Last: 65535}},
	}
	cases := []struct {
		packet  string
		dropped bool
	}{
		{"from 10.9.0.2 ipproto tcp sport 8080", true},
		{"from 10.9.0.2 ipproto tcp sport 8081", false},
		{"from 10.9.0.2 ipproto udp sport 8080", false},
		{"from 10.9.0.2 ipproto udp sport 1000", true},
		{"from 10.9.0.2 ipproto udp sport 2000", true},
		{"from 10.9.0.2 ipproto udp sport 2001", false},
		{"from 10.9.0.3 ipproto icmp", true},
		{"from 10.9.0.3 ipproto tcp sport 8080", false},
		{"from 10.9.0.4 ipproto tcp sport 22", true},
		{"from fd00:9::2 ipproto tcp sport 8080", true},
		{"from fd00:9::2 ipproto tcp sport 8081", false},
	}
	check := func(dropping bool) {
		t.Helper()
		for _, c := range cases {
			to := "10.9.0.200"
			if strings.Contains(c.packet, "fd00") {
				to = "fd00:9::200"
			}
			out, err := exec.Command("ip", strings.Fields("route get "+to+" iif d0 "+c.packet)...).CombinedOutput()
			if want := dropping && c.dropped; (err != nil) != want {
				t.Errorf("%s: dropped %t, want %t: %s", c.packet, err != nil, want, out)
			}
		}
	}
	for _, family := range []string{"ipv4.conf.all", "ipv6.conf.all"} {
		testmachine.Must(t, exec.Command("sysctl", "-qw", "net."+family+".forwarding=1").Run())
	}
	check(false)
	testmachine.Must(t, DropReplies(sources), DropReplies(sources))
	check(true)
	testmachine.Must(t, PassReplies(), PassReplies())
	check(false)
	left := strings.Fields(ip(t, "-4 rule show pref 999"))
	want := strings.Fields("999: from all lookup 77 999: from 10.9.0.99 blackhole")
	if !slices.Equal(left, want) {
		t.Errorf("left is %q, want %q", left, want)
	}
}

// TestClearPassesReplies: leftovers of a killed process go with the table.
func TestClearPassesReplies(t *testing.T) {
	testmachine.Must(t, DropReplies([]ruleset.ReplySource{{Protocol: 6, Address: netip.MustParseAddr("10.9.0.2"),
		Ports: farm.Ports{First: 80, Last: 80}}}), DefaultTable.Clear())
	if left := ip(t, "rule"); strings.Contains(left, "10.9.0.2") {
		t.Errorf("left is\n%s", left)
	}
}

// BenchmarkDropReplies makes and removes as many rules as there may be.
func BenchmarkDropReplies(b *testing.B) {
	var sources []ruleset.ReplySource
	for i := range MaxDropRules {
		sources = append(sources, ruleset.ReplySource{Protocol: 6, Address: netip.AddrFrom4([4]byte{10, 8, 0, byte(i)}),
			Ports: farm.Ports{First: 80, Last: 80}})
	}
	for b.Loop() {
		if err := DropReplies(sources); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := PassReplies(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

package probe

import (
	"testing"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

func TestReasonsOfICMP(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct{ name, groups string }{
		{"ping socket", "0 0"},
		{"raw socket", "1 0"}, // of no group
	} {
		l := netlab.Test(t, netlab.Options{Backends: 2})
		if err := l.Balancer.Sysctl("net.ipv4.ping_group_range", kind.groups); err != nil {
			t.Fatal(err)
		}
		load(t, l.Backends[1], `table inet t { chain c { type filter hook input priority 0;
			icmp type echo-request drop; icmpv6 type echo-request drop; }; }`)
		for i := range 2 {
			name := kind.name + " to " + addresses(l.Backends[0])[i].String()
			got := checkFrom(l.Balancer, target(addresses(l.Backends[0])[i], 0, a(farm.HealthICMP)))
			want(t, name, got, true, "echo reply")
			got = checkFrom(l.Balancer, target(addresses(l.Backends[1])[i], 0, a(farm.HealthICMP, timeout(soon))))
			want(t, name+", dropped", got, false, "no answer in 500ms")
		}
	}
}

// A process without permission says so, and the backend is not unhealthy.
func TestNoPermissionForICMP(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	if err := l.Balancer.Sysctl("net.ipv4.ping_group_range", "1 0"); err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses(l.Backends[0]) {
		var got Result
		if err := l.Balancer.Do(func() error {
			return withoutRaw(func() { got = Run(t.Context(), target(address, 0, a(farm.HealthICMP))) })
		}); err != nil {
			t.Fatal(err)
		}
		if !got.Unknown || got.Reason != "icmp needs net.ipv4.ping_group_range or CAP_NET_RAW" {
			t.Errorf("%+v", got)
		}
	}
}

// withoutRaw calls f while this thread does not use its CAP_NET_RAW.
func withoutRaw(f func()) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&header, &had[0]); err != nil {
		return err
	}
	less := had
	less[0].Effective &^= 1 << unix.CAP_NET_RAW
	if err := unix.Capset(&header, &less[0]); err != nil {
		return err
	}
	f()
	return unix.Capset(&header, &had[0])
}

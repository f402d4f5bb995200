package probe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

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
		if !got.Unknown || !strings.HasPrefix(got.Reason, "icmp: net.ipv4.ping_group_range excludes") {
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

// A user without privileges checks by ping sockets once the script of the package has set the range: no group could
// open them. The range of an administrator stays, and then the check says why it cannot be made.
func TestICMPWithoutPrivileges(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	const group = "4242"
	bin := t.TempDir()
	getent := "#!/bin/sh\necho farmc:x:" + group + ":\n"
	if err := os.WriteFile(filepath.Join(bin, "getent"), []byte(getent), 0o755); err != nil {
		t.Fatal(err)
	}
	for before, after := range map[string]string{"1\t0": group + "\t" + group, "7\t8": "7\t8"} {
		if err := l.Balancer.Sysctl("net.ipv4.ping_group_range", strings.ReplaceAll(before, "\t", " ")); err != nil {
			t.Skipf("the range of groups cannot be set: %v", err)
		}
		got, err := l.Balancer.Run(t.Context(), "", "sh", "-c", "PATH="+bin+":$PATH ../../../debian/ping && "+
			"cat /proc/sys/net/ipv4/ping_group_range")
		if err != nil || strings.TrimSpace(got) != after {
			t.Fatalf("the range %q becomes %q: %v", before, got, err)
		}
		for _, address := range addresses(l.Backends[0]) {
			var result Result
			if err := l.Balancer.Do(func() error {
				return asUser(65534, 4242, func() { result = Run(t.Context(), target(address, 0, a(farm.HealthICMP))) })
			}); err != nil {
				t.Fatal(err)
			}
			if isAllowed := after != before; result.Healthy != isAllowed || result.Unknown == isAllowed {
				t.Errorf("range %q, %s: %+v", got, address, result)
			}
		}
	}
}

// asUser calls f while this thread has another user, and the group beside that of the user. The saved user stays root.
func asUser(id, group uintptr, f func()) error {
	groups := uint32(group)
	set := func(number, a, b, c uintptr) error {
		if _, _, e := unix.RawSyscall(number, a, b, c); e != 0 {
			return e
		}
		return nil
	}
	if err := errors.Join(set(unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&groups)), 0),
		set(unix.SYS_SETRESGID, id, id, 0), set(unix.SYS_SETRESUID, id, id, 0)); err != nil {
		return err
	}
	f()
	return errors.Join(set(unix.SYS_SETRESUID, 0, 0, 0), set(unix.SYS_SETRESGID, 0, 0, 0),
		set(unix.SYS_SETGROUPS, 0, 0, 0))
}

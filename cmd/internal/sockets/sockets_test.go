package sockets

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Sockets of this test are listed with address, port and program, by netlink and from /proc alike.
func TestListening(t *testing.T) {
	tcp := listen(t, "tcp4", "127.0.0.1:0")
	udp, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	defer udp.Close()
	only6 := listen(t, "tcp6", "[::]:0")
	both := listen(t, "tcp", "[::]:0")
	all, err := Listening()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Socket{
		{Protocol: TCP, Address: netip.MustParseAddr("127.0.0.1"), Port: tcp},
		{Protocol: UDP, Address: netip.IPv6Loopback(), Port: netip.MustParseAddrPort(udp.LocalAddr().String()).Port()},
		{Protocol: TCP, Address: netip.IPv6Unspecified(), Port: only6, Only6: true},
		{Protocol: TCP, Address: netip.IPv6Unspecified(), Port: both},
	} {
		i := slices.IndexFunc(all, func(s Socket) bool {
			s.Inode, s.CGroup, s.Only6 = 0, 0, s.Only6 && want.Address.IsUnspecified()
			return s == want
		})
		if i < 0 {
			t.Errorf("%+v is not in %+v", want, all)
			continue
		}
		if p := Programs(all[i : i+1])[all[i].Inode]; p.PID != os.Getpid() || p.Name == "" {
			t.Errorf("%+v belongs to %+v", want, p)
		}
		if want.Only6 {
			continue
		}
		state, family := uint8(stateListen), uint8(unix.AF_INET6)
		if want.Protocol == UDP {
			state = stateClose
		}
		if want.Address.Is4() {
			family = unix.AF_INET
		}
		found, err := readProc(family, want.Protocol, state)
		want.Protocol, want.Inode = "", all[i].Inode
		if err != nil || !slices.Contains(found, want) {
			t.Errorf("%+v is not in %+v, %v", want, found, err)
		}
	}
}

func listen(t *testing.T, network, address string) uint16 {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

func TestServes(t *testing.T) {
	own4, own6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, test := range []struct {
		name         string
		socket       Socket
		serves4, six bool
	}{
		{"any-ip4", Socket{Address: netip.IPv4Unspecified()}, true, false},
		{"any", Socket{Address: netip.IPv6Unspecified()}, true, true},
		{"any-ip6", Socket{Address: netip.IPv6Unspecified(), Only6: true}, false, true},
		{"one", Socket{Address: own4}, true, false},
		{"loopback", Socket{Address: netip.MustParseAddr("127.0.0.1")}, false, false},
	} {
		if test.socket.Serves(own4) != test.serves4 || test.socket.Serves(own6) != test.six {
			t.Errorf("%s: %t, %t", test.name, test.socket.Serves(own4), test.socket.Serves(own6))
		}
	}
}

func TestUnitsOf(t *testing.T) {
	root := t.TempDir()
	var made []Socket
	for _, name := range []string{"system.slice/ssh.service", "user.slice/user-0.slice"} {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, Socket{CGroup: info.Sys().(*syscall.Stat_t).Ino})
	}
	if units := unitsOf(root, made); len(units) != 1 || units[made[0].CGroup] != "ssh.service" {
		t.Errorf("got %v", units)
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2J b\u202e"); got != "a?[2J?b?" {
		t.Errorf("got %q", got)
	}
}

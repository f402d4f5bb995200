package machine

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"farmc/cmd/internal/netlab"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// An address counts if it has no lifetime and is in use.
func TestKeeps(t *testing.T) {
	const permanent = unix.IFA_F_PERMANENT
	for _, c := range []struct {
		address string
		flags   int
		want    bool
	}{
		{"10.2.0.1", permanent, true},
		{"10.2.0.1", permanent | unix.IFA_F_SECONDARY, true},
		{"10.2.0.1", permanent | unix.IFA_F_DEPRECATED, false},
		{"10.2.0.1", 0, false}, // DHCP
		{"127.0.0.1", permanent, false},
		{"fd00:2::1", permanent, true},
		{"fd00:2::1", permanent | unix.IFA_F_TENTATIVE, false},
		{"fd00:2::1", permanent | unix.IFA_F_OPTIMISTIC, false},
		{"fd00:2::1", permanent | unix.IFA_F_DADFAILED, false},
		{"fd00:2::1", permanent | unix.IFA_F_TEMPORARY, false},
		{"fe80::1", permanent, false},
	} {
		if got := keeps(c.flags, netip.MustParseAddr(c.address)); got != c.want {
			t.Errorf("%s with flags %#x: %t, want %t", c.address, c.flags, got, c.want)
		}
	}
}

// A port counts if other machines can reach the program, and it is no client's.
func TestServedPorts(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	err := lab.Balancer.Do(func() error {
		for _, at := range []string{"0.0.0.0:1001", "[::]:1002", "10.2.0.1:1003", "[fd00:2::1]:1004", "127.0.0.1:1005",
			"[::1]:1006", "0.0.0.0:40001"} {
			tcp, err := net.Listen("tcp", at)
			if err != nil {
				return err
			}
			defer tcp.Close()
		}
		for _, at := range []string{"0.0.0.0:2001", "[fd00:2::1]:2002", "127.0.0.1:2003", "0.0.0.0:40002"} {
			udp, err := net.ListenPacket("udp", at)
			if err != nil {
				return err
			}
			defer udp.Close()
		}
		want := []uint16{53, 123, 500, 1001, 1002, 1003, 1004, 2001, 2002, 4500, 5060, 40001}
		if got := ServedPorts(); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

package probe

import (
	"net"
	"strconv"
	"testing"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

// serveUDP replies to each datagram on a port of a host with a text and the datagram, and only to "quiet" it does not.
func serveUDP(t *testing.T, h *netlab.Host, port uint16, text string) {
	t.Helper()
	var c net.PacketConn
	if err := h.Do(func() (err error) {
		c, err = net.ListenPacket("udp", ":"+strconv.Itoa(int(port)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for request := make([]byte, 1500); ; {
			n, from, err := c.ReadFrom(request)
			switch {
			case err != nil:
				return
			case string(request[:n]) == "quiet":
				continue
			}
			c.WriteTo(append([]byte(text), request[:n]...), from)
		}
	}()
}

func TestReasonsOfUDP(t *testing.T) {
	t.Parallel()
	const served, closed = 1000, 1001
	tests := []struct {
		name    string
		port    uint16
		check   farm.Health
		healthy bool
		reason  string
	}{
		{"any reply", served, a(farm.HealthUDP, send("ping")), true, "answered"},
		{"expected reply", served, a(farm.HealthUDP, send("\x00ping"), expect("pong\x00ping")), true, "answered"},
		{"other reply", served, a(farm.HealthUDP, send("ping"), expect("pang")), false,
			"8 bytes without the expected text"},
		{"empty datagram", served, a(farm.HealthUDP, expect("pong")), true, "answered"},
		{"no reply expected", served, a(farm.HealthUDP, send("quiet"), timeout(soon)), true, "no error in 500ms"},
		{"no reply", served, a(farm.HealthUDP, send("quiet"), expect("pong"), timeout(soon)), false,
			"no answer in 500ms"},
		{"no server", closed, a(farm.HealthUDP, send("ping"), expect("pong")), false, "connection refused"},
		{"no server, no reply expected", closed, a(farm.HealthUDP, send("ping")), false, "connection refused"},
	}
	l := netlab.Test(t, netlab.Options{Backends: 1})
	serveUDP(t, l.Backends[0], served, "pong")
	for _, tt := range tests {
		for _, address := range addresses(l.Backends[0]) {
			got := checkFrom(l.Balancer, target(address, tt.port, tt.check))
			want(t, tt.name+" at "+address.String(), got, tt.healthy, tt.reason)
		}
	}
}

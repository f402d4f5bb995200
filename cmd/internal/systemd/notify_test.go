package systemd

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// listener is a socket in the place of systemd's.
func listener(t *testing.T) *net.UnixConn {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return socket
}

func receive(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	socket.SetReadDeadline(time.Now().Add(time.Minute))
	buffer := make([]byte, 4096)
	n, err := socket.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func TestNotifier(t *testing.T) {
	socket := listener(t)
	m, err := Dial()
	if err != nil || os.Getenv("NOTIFY_SOCKET") != "" {
		t.Fatal(err, "or NOTIFY_SOCKET is still set")
	}
	for _, c := range []struct {
		send func()
		want string
	}{
		{func() { m.Ready("2 farms") }, `^READY=1\nSTATUS=2 farms$`},
		{m.Reloading, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$`},
		{func() { m.Status("one\ntwo\n") }, `^STATUS=one; two$`},
		{m.Alive, `^WATCHDOG=1$`},
		{m.Stopping, `^STOPPING=1\nSTATUS=$`},
	} {
		c.send()
		if got := receive(t, socket); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("sent %q, want %q", got, c.want)
		}
	}
}

func TestWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	m, err := Dial()
	if err != nil {
		t.Fatal(err)
	}
	m.Ready("2 farms")
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if _, err := Dial(); err == nil {
		t.Error("no error though the socket is missing")
	}
}

func TestWatchdogTimeout(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0},
		{"30000000", "", 30 * time.Second},
		{"30000000", strconv.Itoa(os.Getpid()), 30 * time.Second},
		{"30000000", "1", 0},
		{"much", "", 0},
	} {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got := WatchdogTimeout(); got != c.want {
			t.Errorf("%q for %q: %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}

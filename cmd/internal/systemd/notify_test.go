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

// listener stands for systemd.
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

func hear(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	socket.SetReadDeadline(time.Now().Add(time.Minute))
	buffer := make([]byte, 4096)
	n, err := socket.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func TestManager(t *testing.T) {
	socket := listener(t)
	m, err := Dial()
	if err != nil || os.Getenv("NOTIFY_SOCKET") != "" {
		t.Fatal(err, "or children would inherit the socket")
	}
	for _, c := range []struct {
		tell func()
		want string
	}{
		{func() { m.Ready("2 farms") }, `^READY=1\nSTATUS=2 farms$`},
		{m.Reloading, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$`},
		{func() { m.Status("one\ntwo\n") }, `^STATUS=one; two$`},
		{m.Alive, `^WATCHDOG=1$`},
		{m.Stopping, `^STOPPING=1\nSTATUS=$`},
	} {
		c.tell()
		if got := hear(t, socket); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("told %q, want %q", got, c.want)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	m, err := Dial()
	if err != nil {
		t.Fatal(err)
	}
	m.Ready("to nobody")
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if _, err := Dial(); err == nil {
		t.Error("no error where the socket isn't there")
	}
}

func TestPatience(t *testing.T) {
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
		if got := Patience(); got != c.want {
			t.Errorf("%q for %q: %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}

// Package systemd tells the service manager how a service is, as sd_notify(3) does. It is a datagram of a few words, so
// no library is worth its weight.
package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Manager is who started this process and wants to hear of it. The zero Manager is nobody, and hears nothing.
type Manager struct {
	socket *net.UnixConn
}

// Dial finds the manager that the environment names. Children don't inherit it: nft has nothing to say there.
func Dial() (Manager, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET")
	if name == "" {
		return Manager{}, nil
	}
	socket, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return Manager{}, fmt.Errorf("tell systemd: %w", err)
	}
	return Manager{socket}, nil
}

// Ready says that the service is up, or that it has read its configuration again.
func (m Manager) Ready(status string) { m.tell("READY=1", "STATUS="+oneLine(status)) }

// Reloading says that the service reads its configuration again, until Ready.
func (m Manager) Reloading() {
	m.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()))
}

// Status says in a line how the service is.
func (m Manager) Status(status string) { m.tell("STATUS=" + oneLine(status)) }

// Stopping says that the service is about to end.
func (m Manager) Stopping() { m.tell("STOPPING=1", "STATUS=") }

// Alive says that the service works, to be told as often as Patience wants.
func (m Manager) Alive() { m.tell("WATCHDOG=1") }

// Patience is how long the manager waits for a sign of life before it ends the service; 0 where it wants none.
func Patience() time.Duration {
	pid, usec := os.Getenv("WATCHDOG_PID"), os.Getenv("WATCHDOG_USEC")
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// tell sends assignments. A manager that doesn't listen is none of the service's troubles.
func (m Manager) tell(assignments ...string) {
	if m.socket != nil {
		m.socket.Write([]byte(strings.Join(assignments, "\n")))
	}
}

func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }

// monotonic is the time since boot, as CLOCK_MONOTONIC counts it.
func monotonic() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

// Package systemd sends the state of a service to the service manager, as sd_notify(3) does, and starts transient
// units.
//
// A notification is a datagram with a few assignments to the socket that NOTIFY_SOCKET names. No library is used,
// because one would be longer than this package. Without a service manager all functions do nothing.
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

// A Notifier sends notifications to the service manager that started this process. The zero Notifier sends none.
type Notifier struct {
	socket *net.UnixConn
}

// Dial connects to the socket that NOTIFY_SOCKET names. It unsets NOTIFY_SOCKET, so that nft does not inherit it.
// Without NOTIFY_SOCKET it gives the zero Notifier and no error.
func Dial() (Notifier, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET")
	if name == "" {
		return Notifier{}, nil
	}
	socket, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return Notifier{}, fmt.Errorf("connect to the service manager: %w", err)
	}
	return Notifier{socket}, nil
}

// Ready reports that the service has started, or has finished a reload. The status is shown by systemctl status.
func (n Notifier) Ready(status string) { n.send("READY=1", "STATUS="+oneLine(status)) }

// Reloading reports that a reload has begun. Ready reports its end.
func (n Notifier) Reloading() {
	n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()))
}

// Status sends the status that systemctl status shows. Lines are joined by "; ".
func (n Notifier) Status(status string) { n.send("STATUS=" + oneLine(status)) }

// Stopping reports that the service is about to end, and clears the status.
func (n Notifier) Stopping() { n.send("STOPPING=1", "STATUS=") }

// Alive resets the watchdog. It must be called within each WatchdogTimeout.
func (n Notifier) Alive() { n.send("WATCHDOG=1") }

// WatchdogTimeout is the time after which the service manager kills the service unless Alive is called, as
// WATCHDOG_USEC and WATCHDOG_PID give it (sd_watchdog_enabled(3)). It is 0 without a watchdog.
func WatchdogTimeout() time.Duration {
	pid, usec := os.Getenv("WATCHDOG_PID"), os.Getenv("WATCHDOG_USEC")
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// send sends assignments. Errors are ignored, because the service works without the service manager.
func (n Notifier) send(assignments ...string) {
	if n.socket != nil {
		n.socket.Write([]byte(strings.Join(assignments, "\n")))
	}
}

func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }

// monotonic is the time of CLOCK_MONOTONIC.
func monotonic() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

package machine

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// SinceBoot returns the time since the boot, sleep included.
func SinceBoot() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // Linux has it since 2.6.39
	}
	return time.Duration(now.Nano())
}

// BootID returns the kernel's ID of this boot.
func BootID() string {
	name, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(name))
}

// BootTime returns the time of the boot.
func BootTime() time.Time { return time.Now().UTC().Add(-SinceBoot()).Truncate(time.Second) }

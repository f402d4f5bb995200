package live

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot returns the time since the boot, sleep included.
func sinceBoot() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // Linux has it since 2.6.39
	}
	return time.Duration(now.Nano())
}

// bootID returns the kernel's ID of this boot.
func bootID() string {
	name, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(name))
}

// bootTime returns the time of the boot.
func bootTime() time.Time { return time.Now().UTC().Add(-sinceBoot()).Truncate(time.Second) }

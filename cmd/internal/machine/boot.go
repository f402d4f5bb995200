package machine

import (
	"fmt"
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

// BootID returns an ID of this boot, of a container as of a machine. It is the ID of the file system of /run: each boot
// makes a new one, the kernel gives each tmpfs a random ID (shmem_statfs of mm/shmem.c, since Linux 5.13), and a unit
// with a sandbox sees the same one as a command. The kernel's own boot ID is not the same in a container and in a unit
// with a /proc of its own; it is the result where /run is no tmpfs.
func BootID() string {
	if id := runID("/run"); id != "" {
		return id
	}
	return kernelBootID()
}

// IsThisBoot reports whether an ID is of this boot. Earlier versions of farmc recorded the kernel's.
func IsThisBoot(id string) bool { return id == BootID() || id == kernelBootID() }

// runID returns the ID of the tmpfs that has a directory; "" if it is on another file system.
func runID(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil || s.Type != unix.TMPFS_MAGIC {
		return ""
	}
	return fmt.Sprintf("run-%08x%08x", uint32(s.Fsid.Val[0]), uint32(s.Fsid.Val[1]))
}

func kernelBootID() string {
	name, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(name))
}

// BootTime returns the time of the boot.
func BootTime() time.Time { return time.Now().UTC().Add(-SinceBoot()).Truncate(time.Second) }

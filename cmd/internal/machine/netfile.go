package machine

import (
	"golang.org/x/sys/unix"
)

// NetFile returns the path of a file of /proc/net in the network namespace of this thread. Threads have namespaces of
// their own in tests only.
//
// Other threads alone read below /proc/thread-self: after that it is expensive to wait for the end of the process. The
// waiting process spins in the kernel until the last thread has removed its directory in /proc, which takes 20 ms on a
// busy machine (shrink_dcache_parent, seen on Linux 6.18).
func NetFile(name string) string {
	if inOwnNamespace() {
		return "/proc/self/net/" + name
	}
	return "/proc/thread-self/net/" + name
}

// inOwnNamespace reports whether this thread is in the network namespace of the process, as far as the kernel tells.
func inOwnNamespace() bool {
	var process, thread unix.Stat_t
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(socket)
	namespace, err := unix.IoctlRetInt(socket, unix.SIOCGSKNS) // needs CAP_NET_ADMIN
	if err != nil {
		return false
	}
	defer unix.Close(namespace)
	return unix.Fstat(namespace, &thread) == nil && unix.Stat("/proc/self/ns/net", &process) == nil &&
		process.Ino == thread.Ino && process.Dev == thread.Dev
}

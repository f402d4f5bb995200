package machine

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The ID is that of the tmpfs on /run: another one after each mount, and the same one through a bind mount, as units
// with a sandbox see it.
func TestRunID(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounts need root")
	}
	runtime.LockOSThread() // the thread ends with the test, and its mounts with it
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		t.Skip(err)
	}
	mount(t, "none", "/", "", unix.MS_REC|unix.MS_PRIVATE)
	run, other := t.TempDir(), t.TempDir()
	mount(t, "tmpfs", run, "tmpfs", 0)
	first := runID(run)
	mount(t, run, other, "", unix.MS_BIND)
	if again := runID(other); first == "" || again != first {
		t.Errorf("%q, and %q through a bind mount", first, again)
	}
	for _, dir := range []string{other, run} {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	mount(t, "tmpfs", run, "tmpfs", 0)
	if second := runID(run); second == "" || second == first {
		t.Errorf("%q after the next mount, %q before", second, first)
	}
	if id := runID("/proc"); id != "" {
		t.Errorf("%q of /proc", id)
	}
}

func mount(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(target, unix.MNT_DETACH) })
}

func TestIsThisBoot(t *testing.T) {
	if !IsThisBoot(BootID()) || !IsThisBoot(kernelBootID()) || IsThisBoot("another") || BootID() == "" {
		t.Errorf("boot %q, of the kernel %q", BootID(), kernelBootID())
	}
}

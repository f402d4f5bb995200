package main

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestModulesComeAfterTheOnesTheyNeed(t *testing.T) {
	got := insertionOrder(`kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio-pci.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_pci_other.ko:
`)
	want := []string{"kernel/drivers/virtio/virtio_ring.ko", "kernel/drivers/virtio/virtio-pci.ko",
		"kernel/drivers/virtio/virtio.ko", "kernel/net/9p/9pnet.ko", "kernel/net/9p/9pnet_virtio.ko.xz",
		"kernel/fs/netfs/netfs.ko", "kernel/net/9p/9pnet.ko", "kernel/fs/9p/9p.ko"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestArchive has cpio read an archive.
func TestArchive(t *testing.T) {
	var a archive
	a.add("sub", 0o755|1<<31, nil)
	a.add("sub/odd", 0o644, []byte("12345"))
	a.add("even", 0o755, []byte("12345678"))
	a.add("TRAILER!!!", 0, nil)
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("no cpio here")
	}
	list := exec.Command("cpio", "--list", "--verbose", "--numeric-uid-gid", "--quiet")
	list.Stdin = strings.NewReader(a.String())
	out, err := list.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		got = append(got, strings.Join([]string{words[0], words[4], words[len(words)-1]}, " "))
	}
	want := []string{"drwxr-xr-x 0 sub", "-rw-r--r-- 5 sub/odd", "-rwxr-xr-x 8 even"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRequestsAreChecked(t *testing.T) {
	for name, r := range map[string]request{
		"a command is missing":    {kernel: "bookworm"},
		`"sid" is no release`:     {kernel: "sid", command: []string{"true"}},
		`"potato" is no release`:  {kernel: here, userland: "potato", command: []string{"true"}},
		"needs a virtual machine": {kernel: here, userland: "trixie", count: true, command: []string{"true"}},
		"no such file":            {kernel: "trixie", dir: "/nonexistent", command: []string{"true"}},
	} {
		if err := r.complete(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: got the error %v, want %q", r, err, name)
		}
	}
}

// TestStatuses: isa-debug-exit doubles the byte that the guest writes, and adds one.
func TestStatuses(t *testing.T) {
	for code, want := range map[string]int{"3": 0, "5": 1, "157": 77, "1": statusFailed, "4": statusFailed,
		"0": statusFailed} {
		err := exec.Command("sh", "-c", "exit "+code).Run()
		if got, err := exitStatus(err, nil); got != want || (err != nil) != (want == statusFailed) {
			t.Errorf("qemu's %s: got %d, %v, want %d", code, got, err, want)
		}
	}
}

func TestMissingProgramsAreNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := (&request{kernel: "bookworm"}).needPrograms()
	if !errors.Is(err, errUnavailable) || !strings.Contains(err.Error(), "apt install qemu-system-x86") ||
		!strings.Contains(err.Error(), "apt install debootstrap") {
		t.Error(err)
	}
}

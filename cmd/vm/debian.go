package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A debian is the root directory of a Debian. Its kernel is in the directory kernel, with its modules.
type debian string

// image is the file of the release's kernel.
func (d debian) image() string { return filepath.Join(string(d), "kernel/vmlinuz") }

const mirror = "http://deb.debian.org/debian"

// releases are the Debians that farmc runs on: 12 with Linux 6.1 and nft 1.0.6, 13 with Linux 6.12 and nft 1.1.3.
var releases = []string{"bookworm", "trixie"}

func known(release string) error {
	if slices.Contains(releases, release) {
		return nil
	}
	return fmt.Errorf("%q is no release of Debian that farmc is tested on: %s", release, strings.Join(releases, ", "))
}

// programs are packages for the tests and for the balancers that farmc is compared with.
var programs = []string{"nftables", "iproute2", "procps", "kmod", "xz-utils", "conntrack", "iptables", "ipvsadm",
	"haproxy", "keepalived", "python3", "dbus", "ufw", "jq", "patch", "curl", "man-db", "groff-base"}

// unpackKernel downloads Debian's kernel into the directory kernel of the root, and lists its modules.
const unpackKernel = `set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive
mkdir -p /kernel
cd /kernel
apt-get update -q
image=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
apt-get -q -o APT::Sandbox::User=root download "$image"
dpkg-deb -x linux-image-*.deb /kernel
rm linux-image-*.deb
apt-get clean
[ -e lib ] || ln -s usr/lib lib # Debian 13's 6.12.117 has no modules in /lib
ls lib/modules > release
depmod -b /kernel "$(cat release)"
cp "boot/vmlinuz-$(cat release)" vmlinuz
`

// prepare returns the Debian of a release. The first call makes it, in a few minutes.
func prepare(release string) (debian, error) {
	dir := filepath.Join(cacheDir(), release)
	if _, err := os.Stat(dir); err == nil {
		return debian(dir), nil
	}
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("%w: only root can make %s: run make as root once", errUnavailable, dir)
	}
	unlock, err := lock(release)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil { // another process has made it meanwhile
		return debian(dir), nil
	}
	making := dir + ".new"
	if err := os.RemoveAll(making); err != nil { // of a process that was killed
		return "", err
	}
	defer os.RemoveAll(making)
	fmt.Fprintf(os.Stderr, "vm: making a Debian %s in %s, once; this takes some minutes\n", release, dir)
	if err := install(release, making); err != nil {
		return "", err
	}
	return debian(dir), os.Rename(making, dir)
}

// lock waits until no other process makes the Debian of a release.
func lock(release string) (unlock func() error, err error) {
	if err := os.MkdirAll(cacheDir(), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(cacheDir(), release+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return f.Close, unix.Flock(int(f.Fd()), unix.LOCK_EX)
}

// install installs a Debian and its kernel in a directory.
func install(release, dir string) error {
	// mounts of debootstrap end with it
	out, err := exec.Command("unshare", "--mount", "debootstrap", "--variant=minbase",
		"--include="+strings.Join(programs, ","), release, dir, mirror).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: debootstrap %s from %s: %w: %s; is there a network?", errUnavailable, release, mirror,
			err, lastLines(out))
	}
	if out, err = exec.Command("chroot", dir, "sh", "-c", unpackKernel).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: download the kernel of %s: %w: %s", errUnavailable, release, err, lastLines(out))
	}
	return nil
}

func cacheDir() string {
	if cache := os.Getenv("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(cache, "farmc-vm")
	}
	return "/var/cache/farmc-vm"
}

// lastLines is the end of a program's output.
func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

// needPrograms checks that the programs of this machine are there.
func (r *request) needPrograms() error {
	packages := map[string]string{"debootstrap": "debootstrap", "unshare": "util-linux"}
	if r.kernel != here {
		packages[qemu] = "qemu-system-x86"
	}
	var missing []error
	for program, name := range packages {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, fmt.Errorf("%w: %s is missing: apt install %s", errUnavailable, program, name))
		}
	}
	return errors.Join(missing...)
}

// kernelRelease is the version of the kernel, as uname has it.
func (d debian) kernelRelease() (string, error) {
	text, err := os.ReadFile(filepath.Join(string(d), "kernel/release"))
	return strings.TrimSpace(string(text)), err
}

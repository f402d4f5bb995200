package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

// onThisKernel runs the arguments from the fourth on in the Debian $1, with a layer in memory at $2 above it, and $3 as
// /work. All mounts and processes end with it.
const onThisKernel = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
root=$2/root
mkdir -p "$root/work" "$root/usr/lib/modules"
mount --bind "$3" "$root/work"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
[ ! -d /lib/modules ] || mount --bind /lib/modules "$root/usr/lib/modules"
ip link set lo up
shift 3
cd "$root"
pivot_root . mnt
umount -l mnt
cd /work
exec "$@"`

// runHere runs the command on the kernel of this machine, in namespaces of its own.
func runHere(r request, userland debian) (status int, err error) {
	if os.Geteuid() != 0 {
		return statusUnavailable, errors.New("only root can mount a Debian: run make as root")
	}
	dir, err := os.MkdirTemp("", "farmc-vm-")
	if err != nil {
		return statusFailed, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), r.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--net", "--pid", "--fork", "--kill-child",
		"sh", "-c", onThisKernel, "vm", string(userland), dir, r.dir}, r.command...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = environment
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return statusTooLong, ctx.Err()
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	case err != nil:
		return statusFailed, err
	}
	return 0, nil
}

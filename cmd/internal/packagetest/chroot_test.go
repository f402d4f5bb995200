package packagetest

import (
	"os/exec"
	"testing"
)

// chroot is a root directory in which only dpkg runs. It shares the network of a balancer.
const chroot = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
mkdir "$2/new" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/new,workdir=$2/work" chroot "$2/root"
cp "$3" "$2/root/farmc.deb"
nft add table inet farmc
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive
root=$2/root
inside() { chroot "$root" "$@"; }
for proc in no yes; do
	[ $proc = no ] || mount -t proc proc "$root/proc"
	inside dpkg -i /farmc.deb
	inside touch /etc/farmc/farms.d/web.toml
	inside dpkg -i /farmc.deb
	inside dpkg --remove farmc
	inside dpkg --purge farmc
	inside sh -c '! ls -d /etc/farmc /var/lib/farmc /run/farmc' 2>/dev/null
	nft list table inet farmc >/dev/null || { echo "the balancer's rules are gone"; exit 1; }
done
inside dpkg -i /farmc.deb
inside dpkg --purge --force-depends nftables
inside dpkg --purge farmc
! find "$root" -xdev -name '*farmc*' ! -path "$root/farmc.deb" ! -path "$root/proc/*" ! -path "$root/var/log/*" |
	grep .`

// TestPackageInChroot: the package installs, upgrades and purges without systemd, and in the end without nft, and
// leaves the machine's rules alone.
func TestPackageInChroot(t *testing.T) {
	if *deb == "" {
		t.Skip("make test-systemd runs this")
	}
	out, err := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", chroot, "chroot",
		debianRoot(t), t.TempDir(), *deb).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

package packagetest

import (
	"flag"
	"strings"
)

var (
	etcdDeb = flag.String("etcd-deb", "", "the `package` farmc-etcd; without it its step is left out")
	etcd    = flag.String("etcd", "", "the `program` etcd, for that step")
)

// mirroredDirs are the directories of farms of a machine with farmc-etcd.
var mirroredDirs = []string{"/etc/farmc/farms.d", "/run/farmc/farms.d", "/var/lib/farmc-etcd/farms"}

// etcdMirrors: farmc-etcd.service is not enabled. Set up as in farmc-etcd(1), it brings farms from etcd without
// privileges, and comes back if it dies. Without etcd the farms stay. A purge leaves nothing.
func etcdMirrors(m *Machine) {
	if *etcdDeb == "" {
		m.t.Skip("no package farmc-etcd")
	}
	m.Do("dpkg -i /root/farmc-etcd.deb")
	if out, status := m.Try("systemctl is-enabled farmc-etcd || systemctl is-active farmc-etcd"); status == 0 {
		m.t.Errorf("farmc-etcd.service is %s", out)
	}
	m.Do("systemd-analyze verify --man=no farmc-etcd.service")
	m.Do("systemd-analyze security --no-pager --threshold=20 farmc-etcd.service")
	m.Do("cp /etc/default/farmc /root/default; "+
		`sed -i 's|^FARMC_OPTIONS=.*|FARMC_OPTIONS="%s"|' /etc/default/farmc; `+
		`sed -i 's|^FARMC_ETCD_OPTIONS=.*|FARMC_ETCD_OPTIONS="%s"|' /etc/default/farmc-etcd; `+
		"systemd-run --unit=etcd-node /root/etcd --data-dir /root/etcd.data --unsafe-no-fsync; "+
		"systemctl restart farmc farmc-api; systemctl start farmc-etcd", options("--dir"), options("--farmc-dir"))

	m.pushes("84")
	m.Until("farmc-etcd status | tee /dev/stderr | grep -E ' loaded$'")
	m.Do("grep -q '^CapBnd:[[:space:]]*0*$' /proc/$(systemctl show -P MainPID farmc-etcd)/status")
	m.Do("systemctl kill --kill-whom=main --signal=KILL farmc-etcd")
	m.pushes("85")
	m.Do("systemctl is-active farmc-etcd; systemctl stop etcd-node")
	m.Do(inClient + "request 192.0.2.1:85")

	m.Do("dpkg --purge farmc-etcd; [ ! -e /var/lib/farmc-etcd ]; " +
		"cp /root/default /etc/default/farmc; rm -r /root/etcd.data /root/pushed; systemctl restart farmc farmc-api")
	m.awaitNoDiff()
}

// options gives an option for each directory.
func options(name string) string {
	return name + " " + strings.Join(mirroredDirs, " "+name+" ")
}

// pushes puts a farm on a port into etcd, and waits until it is served.
func (m *Machine) pushes(port string) {
	m.t.Helper()
	m.Do("mkdir -p /root/pushed")
	m.Write("/root/pushed/pushed.toml", webAt(port))
	m.Until("farmc-etcd push /root/pushed") // once etcd answers
	m.Until(inClient+"request 192.0.2.1:%s", port)
}

package packagetest

import "strings"

// watchServiceAlone says that farmc-watch.service runs, and that farmc.path neither runs nor is enabled.
func (m *Machine) watchServiceAlone() {
	m.t.Helper()
	m.Do("systemctl is-active farmc-watch.service")
	for _, verb := range []string{"is-active", "is-enabled"} {
		if out, status := m.Try("systemctl %s farmc.path", verb); status == 0 {
			m.t.Errorf("farmc.path is %s", out)
		}
	}
}

func stopLeavesRules(m *Machine) {
	before := m.mustBeLoaded()
	for _, unit := range []string{"farmc", "farmc-watch", "farmc-apply", "farmc-boot", "farmc.path"} {
		m.Do("systemctl start %[1]s; systemctl stop %[1]s", unit)
		if now := m.mustBeLoaded(); now != before {
			m.t.Errorf("stop %s: the loaded digest is %q, want %q as before", unit, now, before)
		}
	}
	m.Do("systemctl start farmc")
}

// guardIsRealtime: the sandbox of the unit gives one thread of farmc watch the lowest real-time priority, and no other.
// Where the machine around the container does not let it raise the limit of the unit, a capability stands in for it.
func guardIsRealtime(m *Machine) {
	const limit = "grep -q 'realtime priority  *1 ' /proc/self/limits"
	if _, status := m.Try("systemd-run --wait --pipe --quiet -p LimitRTPRIO=1 " + limit); status != 0 {
		const dropIn = "/run/systemd/system/farmc-watch.service.d"
		m.Do("mkdir %[1]s; printf '[Service]\nCapabilityBoundingSet=CAP_SYS_NICE\n' > %[1]s/nice.conf; "+
			"systemctl daemon-reload; systemctl restart farmc-watch", dropIn)
		defer m.Do("rm -r %s; systemctl daemon-reload; systemctl restart farmc-watch", dropIn)
	}
	// Fields 40 and 41 of proc_pid_stat(5): the priority and the policy, which is 1 for SCHED_FIFO.
	const threads = "awk '{print $40, $41}' /proc/$(systemctl show -P MainPID farmc-watch)/task/*/stat | sort -r"
	m.Until(threads + ` | head -n 2 | tr '\n' , | grep -x '1 1,0 0,'`)
}

// statusEnd prints the last line of the journal of the service.
const statusEnd = "systemctl status --no-pager farmc | tail -n 1"

// enableAndStatus: farmc is a name of the service. Its enable prints no complaint, and the status ends with the result
// of the last load.
func enableAndStatus(m *Machine) {
	m.Do("systemctl disable --now farmc")
	if out, status := m.Try("systemctl is-enabled farmc-watch"); status == 0 {
		m.t.Errorf("disabled farmc, and farmc-watch is %s", out)
	}
	for _, unit := range []string{"farmc-apply", "farmc"} {
		if out := m.Do("systemctl enable %s 2>&1", unit); strings.Count(out, "\n") > 1 {
			m.t.Errorf("enable %s complains:\n%s", unit, out)
		}
	}
	m.Do("systemctl disable farmc.path; systemctl start farmc")
	m.watchServiceAlone()
	m.Do(statusEnd + " | grep 'farmc\\[.*: 1 farm'")
}

// reloadLoads: a reload ends when the farms are loaded, also if the watcher has not noticed an edit yet, and fails if a
// farm has a fault.
func reloadLoads(m *Machine) {
	for _, unit := range []string{"farmc", "farmc-watch"} {
		m.Do("systemctl kill --kill-whom=main --signal=STOP farmc-watch; "+
			"printf '%%s' '%s' > /etc/farmc/farms.d/web.toml; "+
			"(sleep 0.5; systemctl kill --kill-whom=main --signal=CONT farmc-watch) & systemctl reload %s; farmc diff",
			webAt("80"), unit)
		m.Write("/etc/farmc/farms.d/web.toml", web("11"))
		m.Do("systemctl reload %s; farmc diff", unit)
		m.Until(statusEnd + " | grep 'farmc\\[.*: .*1 farm'")
	}
	m.Write("/etc/farmc/farms.d/web.toml", strings.Replace(web("11"), "port", "prot", 1))
	if out, status := m.Try("systemctl reload farmc"); status == 0 {
		m.t.Errorf("a reload succeeds with a faulty farm: %s", out)
	}
	m.Do("systemctl is-active farmc")
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.awaitNoDiff()
}

// badFarmAlone: good farms are loaded in spite of a new bad one. The unit's status names the bad farm and its fault.
func badFarmAlone(m *Machine) {
	m.Write("/etc/farmc/farms.d/bad.toml", strings.Replace(webAt("81"), "port", "prot", 1))
	m.Until("systemctl status --no-pager farmc | grep 'Status:.*bad.toml:4:1: unknown key.*farm bad is left out'")
	m.Write("/etc/farmc/farms.d/web.toml", web("12"))
	m.serves("12")
	m.Write("/etc/farmc/farms.d/good.toml", webAt("82"))
	m.Until(inClient + "request 192.0.2.1:82")
	m.Do("rm /etc/farmc/farms.d/bad.toml /etc/farmc/farms.d/good.toml")
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
	m.awaitNoDiff()
}

// helperInSandbox: the sandbox hides the modules that are built in, which is no reason to miss those of a helper.
func helperInSandbox(m *Machine) {
	m.Write("/etc/farmc/farms.d/ftp.toml", "listen = \"192.0.2.1:21\"\nhelper = \"ftp\"\n[backends.b1]\n"+
		"address = \"10.2.0.11\"\n")
	m.awaitNoDiff()
	m.Do("systemctl reload farmc; nft list table inet farmc | grep -q 'ct helper set'")
	if out, status := m.Try("journalctl --no-pager --unit=farmc-watch | grep 'lacks module'"); status == 0 {
		m.t.Errorf("a finding of the service:\n%s", out)
	}
	m.Do("rm /etc/farmc/farms.d/ftp.toml")
	m.awaitNoDiff()
}

// manyDropInDirs: any number of directories of drop-ins takes two inotify instances: one tells of a change, the other
// one which files to read. root has 128 of them.
func manyDropInDirs(m *Machine) {
	const farms = 150
	m.Do(`cd /etc/farmc/farms.d; for n in $(seq 1001 %d); do
		mkdir farm$n.toml.d; printf 'listen = "192.0.2.1:%%s"\n[backends.b1]\naddress = "10.2.0.11"\nport = 8080\n' $n \
			> farm$n.toml
		echo 'state = "down"' > farm$n.toml.d/state.toml; done`, 1000+farms)
	m.awaitNoDiff()
	m.Do("rm /etc/farmc/farms.d/farm%d.toml.d/state.toml", 1000+farms)
	m.awaitNoDiff()
	m.Do(inClient+"request 192.0.2.1:%d", 1000+farms)
	instances := strings.TrimSpace(m.Do("ls -l /proc/$(systemctl show -P MainPID farmc-watch)/fd | grep -c inotify"))
	if instances != "2" {
		m.t.Errorf("farmc watch has %s inotify instances", instances)
	}
	if units := m.Do("systemctl list-units --no-legend --plain --all 'farmc*.path'"); strings.Contains(units, "drop") {
		m.t.Errorf("units of drop-ins:\n%s", units)
	}
	m.Do("rm -r /etc/farmc/farms.d/farm1*")
	m.awaitNoDiff()
}

// pathReplacesWatchService: farmc.path needs no process. It sees files, and after a touch also drop-ins.
func pathReplacesWatchService(m *Machine) {
	m.Do("systemctl disable --now farmc-watch; systemctl enable --now farmc.path")
	if out, status := m.Try("systemctl is-active farmc-watch"); status == 0 {
		m.t.Errorf("farmc-watch is %s", out)
	}
	servesNewFarm(m)
	m.Do("mkdir -p /run/farmc/farms.d/web.toml.d")
	m.Write("/etc/farmc/farms.d/web.toml", web("11", "12"))
	m.awaitNoDiff()
	for _, b := range [][2]string{{"12", "11"}, {"11", "12"}} {
		m.Write("/run/farmc/farms.d/web.toml.d/health.toml", "[backends.b"+b[0]+"]\nstate = \"down\"\n")
		m.Do("touch /run/farmc/farms.d")
		m.serves(b[1])
	}
	m.Do("rm -r /run/farmc/farms.d/web.toml.d")
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.awaitNoDiff()
}

func pathFaultKeepsRules(m *Machine) { m.keepsRulesAtFault("systemctl is-failed farmc-apply.service") }

// upgradeKeepsPath: an upgrade keeps the choice of units.
func upgradeKeepsPath(m *Machine) {
	before := m.mustBeLoaded()
	for _, file := range []string{"farmc-99.deb", "farmc.deb"} {
		m.Do("dpkg -i --force-downgrade /root/%s", file)
		m.Do("systemctl is-active farmc.path; systemctl is-enabled farmc.path")
		if out, status := m.Try("systemctl is-active farmc-watch || systemctl is-enabled farmc-watch"); status == 0 {
			m.t.Errorf("farmc-watch is %s", out)
		}
	}
	if now := m.mustBeLoaded(); now != before {
		m.t.Errorf("the loaded digest is %q, want %q as before", now, before)
	}
}

// watchServiceReplacesPath: farmc.path stops while both are enabled.
func watchServiceReplacesPath(m *Machine) {
	m.Do("systemctl enable --now farmc-watch")
	if out, status := m.Try("systemctl is-active farmc.path"); status == 0 {
		m.t.Errorf("farmc.path is %s", out)
	}
	m.Do("systemctl disable farmc.path")
	m.watchServiceAlone()
}

package packagetest

import "strings"

// survivesFirewalld: firewalld conflicts with nftables.service, and the stop of that one flushes all rules. The watcher
// restores the farms.
func survivesFirewalld(m *Machine) {
	m.Do("systemctl start nftables.service farmc-boot.service")
	m.serves("11")
	m.Do("systemctl start firewalld")
	if out, status := m.Try("systemctl is-active nftables.service"); status == 0 && release() == oldest {
		m.t.Fatalf("nftables.service is %s", out)
	}
	m.Do("systemctl stop nftables.service") // in Debian 13 the two do not conflict
	m.serves("11")
	m.awaitNoDiff()
	m.Do("systemctl is-active farmc-boot.service farmc-watch.service")
	m.Until("firewall-cmd --state")
	m.Do("firewall-cmd --reload")
	m.serves("11")
	m.Do("systemctl stop firewalld")
	m.serves("11")
	m.Do("systemctl start nftables.service")
	m.serves("11")
}

// bootRefusesFiles says that farmc-boot.service loads no script that others may write to, also by an access control
// list, prints no file name raw, and does not wait for a FIFO.
func (m *Machine) bootRefusesFiles() {
	m.t.Helper()
	m.Do("cp -p /var/lib/farmc/loaded.nft /root; nft flush ruleset")
	for _, state := range []struct{ make, refusal string }{
		{`touch "$(printf 'x\033[31m\nfarmc: all is well')"; chmod o+w x*`, "x?[31m?farmc: all is well: other users"},
		{"rm x*; peer acl loaded.nft", "loaded.nft: other users"},
		{"rm loaded.nft; mkfifo -m 600 loaded.nft", "loaded.nft: not a regular file"},
	} {
		m.Do("cd /var/lib/farmc; %s", state.make)
		if out, status := m.Try("systemctl restart farmc-boot.service"); status == 0 || m.loadedDigest() != "" {
			m.t.Errorf("%s: loaded (%d): %s\n%s", state.refusal, status, out, m.journal())
		}
		m.Until("journalctl --no-pager -u farmc-boot --since=-1min | grep -F '/var/lib/farmc/%s'", state.refusal)
	}
	m.Do("rm /var/lib/farmc/loaded.nft; cp -p /root/loaded.nft /var/lib/farmc")
}

// watchServiceRestores: the watcher restores rules, and continues after an upgrade, a restart and a reboot.
func watchServiceRestores(m *Machine) {
	m.watchServiceAlone()
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
	stop := m.traffic()
	m.Do("dpkg -i /root/farmc-99.deb")
	m.watchServiceAlone()
	m.Do("systemctl reload farmc-watch.service")
	m.Do("systemctl restart farmc-watch.service")
	stop()
	m.Write("/etc/farmc/farms.d/web.toml", web("12"))
	m.serves("12")
	m.Do("systemctl restart nftables.service")
	m.serves("12")
	m.Do("nft flush ruleset")
	m.serves("12")
	m.Write("/etc/farmc/farms.d/web.toml", strings.Replace(web("11"), "port", "prot", 1))
	m.Until("systemctl status --no-pager farmc-watch.service | grep 'Status:.*web.toml:4:1: unknown key'")
	m.Write("/etc/farmc/farms.d/web.toml", web("12"))
	m.Reboot()
	m.connect()
	m.watchServiceAlone()
	m.serves("12")
}

// upgradeOlderMovesToWatch: the default of older versions was farmc.path. An upgrade enables the watcher instead, and
// leaves a machine alone on which neither is enabled.
func upgradeOlderMovesToWatch(m *Machine) {
	if *older == "" {
		m.t.Skip("make test-systemd OLDER=farmc.deb has one")
	}
	if _, status := m.Try("dpkg-deb --fsys-tarfile /root/farmc-0.0.2.deb | tar -t | grep farmc-drop-in"); status != 0 {
		m.t.Skip("the older package starts the watcher, too")
	}
	for _, state := range []string{
		"mkdir -p /run/farmc/farms.d/web.toml.d; systemctl start farmc.service farmc-look.service",
		"echo x >> /etc/farmc/farms.d/web.toml; until systemctl is-failed farmc.service; do sleep 0.1; done",
	} {
		m.Do("dpkg --purge farmc; dpkg -i /root/farmc-0.0.2.deb")
		m.Write("/etc/farmc/farms.d/web.toml", web("11"))
		m.serves("11")
		m.Do("%s", state)
		m.Do("dpkg -i /root/farmc.deb")
		m.watchServiceAlone()
		m.mustBeLoaded()
		if units := m.Do("systemctl list-units --no-legend --plain 'farmc-drop-in*'"); units != "" {
			m.t.Errorf("units of drop-ins are left:\n%s", units)
		}
	}
	m.Do("dpkg -i --force-downgrade /root/farmc-0.0.2.deb; systemctl disable --now farmc-watch farmc.path; " +
		"dpkg -i /root/farmc.deb")
	if out, status := m.Try("systemctl is-active farmc-watch farmc.path || " +
		"systemctl is-enabled farmc-watch farmc.path"); status == 0 {
		m.t.Errorf("units that were disabled are %s", out)
	}
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.Do("systemctl enable --now farmc-watch")
	m.serves("11")
}

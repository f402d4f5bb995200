package packagetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestPackage installs the package on one machine, and changes the machine step by step. The steps build on each other,
// so a single step cannot run alone.
func TestPackage(t *testing.T) {
	if *deb == "" {
		t.Skip("make test-systemd runs this")
	}
	m := Boot(t, machineFiles(t))
	m.connect()
	for _, step := range []struct {
		name string
		run  func(*Machine)
	}{
		{"installs", installs},
		{"serves-a-new-farm", servesNewFarm},
		{"follows-drop-ins", followsDropIns},
		{"loads-the-last-of-many-edits", loadsLastEdit},
		{"confirm-outlives-its-service", confirmOutlivesService},
		{"confirm-takes-back-a-saved-edit", confirmTakesBackSavedEdit},
		{"fault-keeps-rules", faultKeepsRules},
		{"bad-farm-does-not-hold-back-good-ones", badFarmAlone},
		{"helper-without-a-false-alarm", helperInSandbox},
		{"stop-leaves-rules", stopLeavesRules},
		{"guard-has-real-time-priority", guardIsRealtime},
		{"enable-and-status-work-on-farmc", enableAndStatus},
		{"doctor-finds-units", doctorFindsUnits},
		{"reload-returns-when-farms-are-loaded", reloadLoads},
		{"api-answers-without-privileges", apiAnswers},
		{"api-needs-keys", apiNeedsKeys},
		{"api-hands-over-to-the-watcher-alone", apiRelayIsPrivate},
		{"api-over-tcp-by-a-drop-in", apiOverTCP},
		{"api-comes-back", apiComesBack},
		{"watcher-changes-farms-in-its-sandbox", watcherChangesFarms},
		{"api-writes-farms", apiWritesFarms},
		{"health-waits-for-a-key", healthWaitsForKey},
		{"health-takes-backends-out-without-privileges", healthTakesOut},
		{"options-of-the-services", optionsOfServices},
		{"mirrors-farms-from-etcd", etcdMirrors},
		{"refuses-farms-that-others-may-write", refusesForeignFiles},
		{"more-drop-in-directories-than-inotify-instances", manyDropInDirs},
		{"adds-rules-for-an-appearing-interface", addsAppearingInterface},
		{"survives-a-firewall-restart", survivesFirewall},
		{"survives-a-start-of-firewalld", survivesFirewalld},
		{"firewall-that-includes-farms-keeps-traffic", firewallIncludesFarms},
		{"upgrade-and-downgrade-keep-traffic", upgradeKeepsTraffic},
		{"upgrade-keeps-the-api", upgradeKeepsAPI},
		{"path-unit-replaces-watch-service", pathReplacesWatchService},
		{"path-unit-loads-the-last-of-many-edits", loadsLastEdit},
		{"path-unit-keeps-rules-at-a-fault", pathFaultKeepsRules},
		{"path-unit-adds-rules-for-an-appearing-interface", addsAppearingInterface},
		{"path-unit-survives-a-firewall-restart", survivesFirewall},
		{"survives-a-firewall-restart-with-nft-alone", survivesFirewallAlone},
		{"upgrade-keeps-the-path-unit", upgradeKeepsPath},
		{"watch-service-replaces-path-unit", watchServiceReplacesPath},
		{"upgrade-from-an-older-farmc-and-back-keeps-traffic", upgradeOlderKeepsTraffic},
		{"upgrade-from-an-older-farmc-moves-to-the-watch-service", upgradeOlderMovesToWatch},
		{"reboot-with-broken-farms-keeps-the-last-good-ones", rebootKeepsLastGoodFarms},
		{"reboot-serves-without-farmc-and-files", rebootServesWithoutFarmc},
		{"switches-off", switchesOff},
		{"watch-service-restores-rules", watchServiceRestores},
		{"purge-leaves-nothing", purgeLeavesNothing},
		{"purge-at-once-unloads", purgeAtOnceUnloads},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			defer func(of *testing.T) { m.t = of }(m.t)
			m.t = t
			step.run(m)
		}) {
			t.FailNow()
		}
	}
}

// installs: the package loads nothing on a machine without farms, and enables its units.
func installs(m *Machine) {
	m.Do("dpkg -i /root/farmc.deb")
	if program, packaged := m.Do("farmc version"),
		m.Do("dpkg-query -W -f '${Version}' farmc"); !strings.HasPrefix(program, "farmc "+packaged+" ") {
		m.t.Errorf("the package is %s, but farmc prints %s", packaged, program)
	}
	m.watchServiceAlone()
	m.Do("systemctl is-enabled farmc-watch.service farmc-boot.service farmc.service farmc-api.socket")
	if out := m.Do("systemctl --failed --no-legend"); out != "" {
		m.t.Errorf("failed units: %s", out)
	}
	if m.loadedDigest() != "" {
		m.t.Error("rules are loaded without a farm")
	}
	m.Do("systemd-analyze verify --man=no farmc.path farmc-apply.service farmc-look.service farmc-boot.service " +
		"farmc-watch.service farmc-api.socket farmc-api.service farmc-health.service")
	for unit := range strings.FieldsSeq("farmc-apply farmc-look farmc-boot farmc-watch farmc-api farmc-health") {
		m.Do("systemd-analyze security --no-pager --threshold=20 %s.service", unit)
		m.t.Log(strings.TrimSpace(m.Do("systemd-analyze security --no-pager %s.service | tail -1", unit)))
	}
}

func servesNewFarm(m *Machine) {
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
	m.Write("/run/farmc/farms.d/web.toml", web("12"))
	m.serves("12")
	m.Do("rm /run/farmc/farms.d/web.toml")
	m.serves("11")
}

// followsDropIns: a health checker's drop-in counts as soon as it exists, and after each change.
func followsDropIns(m *Machine) {
	m.Write("/etc/farmc/farms.d/web.toml", web("11", "12"))
	m.awaitNoDiff()
	m.Do("mkdir -p /run/farmc/farms.d/web.toml.d")
	m.Write("/run/farmc/farms.d/web.toml.d/health.toml", "[backends.b11]\nstate = \"down\"\n")
	m.serves("12")
	m.awaitNoDiff()
	for _, b := range [][2]string{{"12", "11"}, {"11", "12"}, {"12", "11"}} {
		m.Write("/run/farmc/farms.d/web.toml.d/health.toml", "[backends.b"+b[0]+"]\nstate = \"down\"\n")
		m.awaitNoDiff()
		m.serves(b[1])
	}
	m.Do("rm -r /run/farmc/farms.d/web.toml.d")
	m.awaitNoDiff()
}

// loadsLastEdit: the kernel gets the last edit, although farmc.path sees nothing while farmc-apply.service runs. The
// pauses let the last edit meet each moment of a load.
func loadsLastEdit(m *Machine) {
	for round := range 5 {
		var edits strings.Builder
		for i := range 100 {
			fmt.Fprintf(&edits, "printf '%%s' '%s' > /etc/farmc/farms.d/web.toml; sleep 0.0%02d\n",
				strings.ReplaceAll(web("11", "12"), "8080", fmt.Sprint(9000+100*round+i)), rand.IntN(40))
		}
		m.Do("%s", edits.String())
		m.awaitNoDiff()
		if rules := m.Do("nft list table inet farmc"); !strings.Contains(rules, fmt.Sprint(9099+100*round)) {
			m.t.Errorf("the last edit is not loaded:\n%s", rules)
		}
	}
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
}

// faultKeepsRules: the unit's status names the fault and its place, and the loaded rules stay.
func faultKeepsRules(m *Machine) { m.keepsRulesAtFault("systemctl is-active farmc.service") }

// keepsRulesAtFault says that a fault keeps the rules, and that a command succeeds then.
func (m *Machine) keepsRulesAtFault(command string) {
	m.t.Helper()
	before := m.mustBeLoaded()
	stop := m.traffic()
	m.Write("/etc/farmc/farms.d/web.toml", strings.Replace(web("11"), "port", "prot", 1))
	m.statusHasFault()
	m.Until("%s", command)
	if now := m.mustBeLoaded(); now != before {
		m.t.Errorf("the loaded digest is %q, want %q as before", now, before)
	}
	stop()
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.awaitNoDiff()
}

func (m *Machine) statusHasFault() {
	m.t.Helper()
	m.Until(`systemctl status --no-pager --lines=100 farmc.service farmc-apply.service | grep -F ` +
		`'/etc/farmc/farms.d/web.toml:4:1: error: unknown key "prot"'`)
}

// refusesForeignFiles: both services see /etc as a read-only mount, and still refuse farms that the user nobody may
// write.
func refusesForeignFiles(m *Machine) {
	before := m.mustBeLoaded()
	m.Do("systemctl stop farmc-watch.service; chmod 777 /etc/farmc/farms.d")
	m.Do("setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c 'cat > /etc/farmc/farms.d/evil.toml' << EOF\n"+
		"%sEOF", webAt("81"))
	refused := func(path string) {
		m.t.Helper()
		if out, status := m.Try("systemctl start farmc-apply.service"); status == 0 {
			m.t.Errorf("farmc-apply.service loads farms, though %s may write to it: %s", path, out)
		}
		m.Do("systemctl start farmc-watch.service")
		for _, unit := range []string{"farmc-apply", "farmc-watch"} {
			m.Until("journalctl --no-pager --since=-1min -u %s.service | grep -F '%s may write to it'", unit, path)
		}
		m.Do("systemctl stop farmc-watch.service")
		if now := m.mustBeLoaded(); now != before {
			m.t.Errorf("the loaded digest is %q, want %q as before", now, before)
		}
	}
	refused("/etc/farmc/farms.d: error: every user")
	m.Do("chmod 755 /etc/farmc/farms.d")
	refused("/etc/farmc/farms.d/evil.toml: error: the user nobody")
	m.Do("rm /etc/farmc/farms.d/evil.toml; systemctl reset-failed farmc-apply.service; " +
		"systemctl start farmc-watch.service")
	m.awaitNoDiff()
}

// addsAppearingInterface: rules for an interface are left out until it exists. The container has no udev, so the test
// calls the script itself.
func addsAppearingInterface(m *Machine) {
	m.Write("/etc/farmc/farms.d/late.toml",
		"mode = \"dsr\"\nlisten = \"192.0.2.2:80\"\ninterfaces = [\"late0\"]\n[backends.b1]\naddress = \"10.9.0.11\"\n")
	m.awaitNoDiff()
	if _, status := m.Try("nft list table netdev farmc | grep late0"); status == 0 {
		m.t.Error("there are rules for an absent interface")
	}
	m.Do("ip link add late0 type veth peer name late1")
	m.Do("/usr/lib/farmc/look interface late0")
	m.Until("nft list table netdev farmc | grep late0")
	m.Do("ip link delete late0")
	m.Do("rm /etc/farmc/farms.d/late.toml")
	m.awaitNoDiff()
}

// survivesFirewall: Debian's firewall rules begin with flush ruleset, and its stop command ends with it.
func survivesFirewall(m *Machine) {
	for _, verb := range []string{"start", "restart", "reload", "restart"} {
		m.Do("systemctl %s nftables.service", verb)
		m.serves("11")
		m.awaitNoDiff()
	}
	m.Do("systemctl stop nftables.service")
	m.Do("systemctl start nftables.service")
	m.serves("11")
}

// survivesFirewallAlone: nft alone restores all of the last good farms after a flush on a running machine, with the
// rules for interfaces, because no other unit adds these later. After a boot it loads the script for the boot.
func survivesFirewallAlone(m *Machine) {
	m.Write("/etc/farmc/farms.d/near.toml",
		"mode = \"dsr\"\nlisten = \"192.0.2.2:80\"\ninterfaces = [\"client\"]\n[backends.b1]\n"+
			"address = \"10.2.0.11\"\ninterface = \"backend\"\n")
	m.awaitNoDiff()
	const watchers = "farmc.path farmc-apply.service farmc-look.service" // each starts another
	m.Do("systemctl mask --runtime --now " + watchers)
	loaded, boot := m.Do("grep -o sha256:[0-9a-f]* /var/lib/farmc/loaded.nft"),
		m.Do("grep -o sha256:[0-9a-f]* /var/lib/farmc/boot.nft")
	if loaded == boot {
		m.t.Fatal("the farms have no rules for interfaces")
	}
	often := slices.Repeat([]string{"restart nftables.service", "reload nftables.service",
		"restart farmc-boot.service"}, 5)
	for _, restart := range often {
		m.Until("systemctl is-active farmc-boot.service") // systemd drops a reload of a unit that is about to start
		m.Do("systemctl reset-failed nftables.service")   // it has a limit of its own
		m.Do("nft flush ruleset")
		m.Do("systemctl %s", restart)
		m.Until("nft list table inet farmc")
		if now := m.loadedDigest(); now != strings.TrimSpace(loaded) {
			m.t.Errorf("%s: the loaded digest is %q; loaded.nft has %s, boot.nft has %s", restart, now, loaded, boot)
		}
		m.Do("nft list table netdev farmc | grep -F '\"client\"'")
		m.serves("11")
	}
	m.Do("chmod 777 /var/lib/farmc; nft flush ruleset")
	if out, status := m.Try("systemctl restart farmc-boot.service"); status == 0 || m.loadedDigest() != "" {
		m.t.Errorf("a state directory that all users may write to is loaded (%d): %s\n%s", status, out, m.journal())
	}
	m.Do("chmod 755 /var/lib/farmc")
	m.bootRefusesFiles()
	m.Do("systemctl restart farmc-boot.service")
	m.Do("rm /etc/farmc/farms.d/near.toml; systemctl unmask --runtime " + watchers + "; systemctl start farmc.path")
	m.awaitNoDiff()
}

// firewallIncludesFarms: between a flush and the next load, packets of open connections are not translated. A firewall
// that includes the last good farms reloads both in one transaction.
func firewallIncludesFarms(m *Machine) {
	m.Do(`cp /etc/nftables.conf /root; echo 'include "/var/lib/farmc/boot.n*ft"' >> /etc/nftables.conf`)
	m.Do("systemctl start nftables.service")
	m.serves("11")
	stop := m.traffic()
	for range 5 {
		m.Do("systemctl reload nftables.service")
	}
	m.awaitNoDiff()
	stop()
	m.Do("cp /root/nftables.conf /etc")
}

func upgradeKeepsTraffic(m *Machine) {
	before := m.mustBeLoaded()
	stop := m.traffic()
	for _, file := range []string{"farmc-99.deb", "farmc.deb", "farmc-0.0.1.deb", "farmc.deb"} {
		m.Do("dpkg -i --force-downgrade /root/%s", file)
		if now := m.mustBeLoaded(); now != before {
			m.t.Errorf("%s: the loaded digest is %q, want %q as before", file, now, before)
		}
		m.watchServiceAlone()
	}
	m.Do("dpkg --remove farmc")
	if now := m.mustBeLoaded(); now != before {
		m.t.Errorf("removed: the loaded digest is %q, want %q as before", now, before)
	}
	m.Do("dpkg -i /root/farmc.deb")
	m.watchServiceAlone()
	m.Do("systemctl restart farmc-watch.service")
	stop()
}

// upgradeOlderKeepsTraffic: farms of an older farmc, with its state directory, belong to the new farmc after an
// upgrade, and the other way round. No connection breaks, and each version follows edits, reports the farms, and rolls
// back.
func upgradeOlderKeepsTraffic(m *Machine) {
	if *older == "" {
		m.t.Skip("make test-systemd OLDER=farmc.deb has one")
	}
	others := map[string]string{
		"turns": "scheduler = \"round-robin\"\n" + webAt("81"),
		"keep": webAt("82") +
			"[persistence]\ntimeout = \"10m\"\n[limits]\nnew-per-client = { rate = \"1000/second\", burst = 2000 }\n" +
			"ban = \"1h\"\n",
		"denied": webAt("83") + "[access]\ndeny = [\"203.0.113.0/24\"]\n",
	}
	for name, farm := range others {
		m.Write("/etc/farmc/farms.d/"+name+".toml", farm)
	}
	m.awaitNoDiff()
	m.Do("farmc ban keep 198.51.100.77 1h")
	stop := m.traffic()
	for _, file := range []string{"farmc-0.0.2.deb", "farmc.deb", "farmc-0.0.2.deb", "farmc-99.deb", "farmc.deb"} {
		m.Do("dpkg -i --force-downgrade /root/%s", file)
		m.mustBeLoaded()
		m.awaitNoDiff()
		m.Do("farmc status keep | grep '198.51.100.77 for '") // older versions use other words
		m.Write("/etc/farmc/farms.d/web.toml", web("12"))
		m.serves("12")
		m.awaitNoDiff()
		m.Write("/etc/farmc/farms.d/web.toml", web("11"))
		m.serves("11")
		m.awaitNoDiff()
		m.Do("systemctl stop farmc.path farmc.service farmc-watch.service; farmc rollback")
		m.serves("12")
		m.Do("cd /etc/farmc/farms.d; echo >> web.toml; systemctl start farmc-watch.service")
		m.serves("11")
	}
	stop()
	m.Do("cd /etc/farmc/farms.d; rm turns.toml keep.toml denied.toml")
	m.awaitNoDiff()
}

// rebootKeepsLastGoodFarms: the last good farms serve after a reboot, and the status names the fault.
func rebootKeepsLastGoodFarms(m *Machine) {
	m.awaitNoDiff()
	before := m.mustBeLoaded()
	m.Do("systemctl enable nftables.service")
	m.Write("/etc/farmc/farms.d/web.toml", strings.Replace(web("11"), "port", "prot", 1))
	m.Reboot()
	m.mustBeLoaded() // without the source addresses that the network names
	m.connect()
	m.serves("11")
	m.awaitLoaded(before)
	m.statusHasFault()
	m.Do("systemctl is-active farmc-boot.service")
	order := m.Do("systemctl show --property=Before farmc-boot.service")
	if !strings.Contains(order, "network-pre.target") {
		m.t.Errorf("farmc-boot.service is not before the network: %s", order)
	}
	m.Write("/etc/farmc/farms.d/web.toml", web("12"))
	m.serves("12")
	bootWaitsForMounts(m)
}

// bootWaitsForMounts: a directory of the sandbox that is not there fails the start, and a later one follows.
func bootWaitsForMounts(m *Machine) {
	const dropIn = "/run/systemd/system/farmc-boot.service.d"
	m.Do("mkdir -p " + dropIn)
	m.Write(dropIn+"/later.conf", "[Service]\nReadWritePaths=/run/comes-later\n")
	m.Do("systemctl daemon-reload")
	if _, status := m.Try("systemctl restart farmc-boot.service"); status == 0 {
		m.t.Error("farmc-boot starts without a directory of its sandbox")
	}
	m.Do("mkdir /run/comes-later")
	m.Until("systemctl is-active --quiet farmc-boot.service")
	m.Do("rm -r " + dropIn + "; systemctl daemon-reload; rmdir /run/comes-later")
	m.awaitNoDiff()
}

func rebootServesWithoutFarmc(m *Machine) {
	m.Do("systemctl disable nftables.service")
	m.Do("systemctl stop farmc; mv /usr/bin/farmc /root; mv /etc/farmc/farms.d/web.toml /root")
	m.Reboot()
	m.connect()
	m.serves("12")
	m.Do("mv /root/farmc /usr/bin; mv /root/web.toml /etc/farmc/farms.d")
	m.Until("systemctl is-active farmc-watch")
	m.awaitNoDiff()
}

// purgeLeavesNothing: a purge removes all files, units and rules.
func purgeLeavesNothing(m *Machine) {
	m.Do("dpkg --remove farmc")
	m.serves("12")
	m.Do("dpkg --purge farmc")
	if rules := m.Do("nft list ruleset"); strings.Contains(rules, "farmc") {
		m.t.Errorf("rules are left:\n%s", rules)
	}
	if left := m.Do("find / -xdev -name '*farmc*' ! -path '/root/*' ! -path '/proc/*' ! -path '/sys/*' ! -path " +
		"'/var/log/*'; find /run -name '*farmc*'"); left != "" {
		m.t.Errorf("files are left:\n%s", left)
	}
	if units := m.Do("systemctl list-units --all --no-legend --plain 'farmc*'"); units != "" {
		m.t.Errorf("units are left:\n%s", units)
	}
	m.Do("dpkg -i /root/farmc.deb")
	if m.loadedDigest() != "" {
		m.t.Error("installed again, farmc still has its farms")
	}
}

// purgeAtOnceUnloads: a purge of the installed package stops the watcher and removes the rules, and says so. It takes
// back the announcement of addresses. Rules and routes of other programs stay.
func purgeAtOnceUnloads(m *Machine) {
	servesNewFarm(m)
	m.Write("/etc/farmc/farms.d/told.toml", "announce = true\n"+webAt("83"))
	m.Until("ip route show table 251 | grep 192.0.2.1; ip -6 route show table 251 | grep 2001:db8::1")
	m.Do("nft add table inet other; ip route add blackhole 203.0.113.9 table 251 proto static; " +
		"ip rule add pref 999 from 10.0.0.9 ipproto tcp sport 80 blackhole proto 251; " +
		"ip rule add pref 1000 lookup main suppress_prefixlength 0")
	if said := m.Do("dpkg --purge farmc 2>&1"); !strings.Contains(said, "farmc: all rules of farmc are removed\n") {
		m.t.Errorf("the purge does not say that the rules are removed:\n%s", said)
	}
	if tables := m.Do("nft list tables"); strings.Contains(tables, "farmc") || !strings.Contains(tables, "inet other") {
		m.t.Errorf("after the purge the tables are\n%s", tables)
	}
	if left := m.Do("ip rule; ip -6 rule; ip route show table 251"); strings.Contains(left, "lookup 251") ||
		strings.Contains(left, "proto 251") || !strings.Contains(left, "203.0.113.9") ||
		!strings.Contains(left, "1000:\tfrom all lookup main suppress_prefixlength 0") {
		m.t.Errorf("after the purge rules and routes are\n%s", left)
	}
	m.Do("ip route flush table 251; ip rule del pref 1000; nft delete table inet other; dpkg -i /root/farmc.deb")
	if said := m.Do("dpkg --purge farmc 2>&1"); strings.Contains(said, "farmc: ") {
		m.t.Errorf("without rules the purge says\n%s", said)
	}
}

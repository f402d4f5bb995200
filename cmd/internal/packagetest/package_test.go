package packagetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestPackage is the life of a machine, chapter by chapter.
func TestPackage(t *testing.T) {
	if *deb == "" {
		t.Skip("make test-systemd runs this")
	}
	m := Boot(t, files(t))
	m.connect()
	for _, chapter := range []struct {
		name string
		tell func(*Machine)
	}{
		{"installed", installed},
		{"a farm is dropped in", droppedIn},
		{"drop-ins", dropIns},
		{"a hundred quick edits", quickEdits},
		{"a slip of the hand", slip},
		{"farms that others may write to", othersWrite},
		{"an interface appears", interfaceAppears},
		{"the firewall is restarted", firewall},
		{"the firewall is restarted, and nobody watches", firewallAlone},
		{"the firewall is reloaded under traffic", firewallWithFarms},
		{"upgrade and downgrade under traffic", upgrade},
		{"upgrade from an older one and back under traffic", upgradeOlder},
		{"reboot with broken farms", rebootBroken},
		{"reboot without farmc and farms", rebootBare},
		{"watched instead", watched},
		{"removed and purged", purged},
	} {
		if !t.Run(chapter.name, func(t *testing.T) {
			defer func(of *testing.T) { m.t = of }(m.t)
			m.t = t
			chapter.tell(m)
		}) {
			t.FailNow()
		}
	}
}

// Installing loads nothing on a machine without farms, and says which units are to run.
func installed(m *Machine) {
	m.Do("dpkg -i /root/farmc.deb")
	if program, packaged := m.Do("farmc version"), m.Do("dpkg-query -W -f '${Version}' farmc"); !strings.HasPrefix(program, "farmc "+packaged+" ") {
		m.t.Errorf("the package is %s, and farmc says %s", packaged, program)
	}
	m.Do("systemctl is-active farmc.path")
	m.Do("systemctl is-enabled farmc.path farmc-boot.service")
	if out, status := m.Try("systemctl is-enabled farmc-watch.service"); status == 0 {
		m.t.Errorf("farmc-watch.service is %s", out)
	}
	if out := m.Do("systemctl --failed --no-legend"); out != "" {
		m.t.Errorf("failed units: %s", out)
	}
	if m.loaded() != "" {
		m.t.Error("rules are loaded where nobody has a farm")
	}
	m.Do("systemd-analyze verify --man=no farmc.path farmc.service farmc-look.service farmc-boot.service farmc-watch.service")
	for _, unit := range []string{"farmc", "farmc-look", "farmc-boot", "farmc-watch"} {
		m.Do("systemd-analyze security --no-pager --threshold=20 %s.service", unit)
		m.t.Log(strings.TrimSpace(m.Do("systemd-analyze security --no-pager %s.service | tail -1", unit)))
	}
}

func droppedIn(m *Machine) {
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
	m.Write("/run/farmc/farms.d/web.toml", web("12"))
	m.serves("12")
	m.Do("rm /run/farmc/farms.d/web.toml")
	m.serves("11")
}

// A health checker's drop-in counts as soon as it is there, and each time that it changes.
func dropIns(m *Machine) {
	m.Write("/etc/farmc/farms.d/web.toml", web("11", "12"))
	m.agrees()
	m.Do("mkdir /run/farmc/farms.d/web.toml.d")
	m.Write("/run/farmc/farms.d/web.toml.d/health.toml", "[backends.b11]\nstate = \"down\"\n")
	m.serves("12")
	m.agrees()
	for _, b := range [][2]string{{"12", "11"}, {"11", "12"}, {"12", "11"}} {
		m.Write("/run/farmc/farms.d/web.toml.d/health.toml", "[backends.b"+b[0]+"]\nstate = \"down\"\n")
		m.agrees()
		m.serves(b[1])
	}
	m.Do("rm -r /run/farmc/farms.d/web.toml.d")
	m.agrees()
}

// The last edit is what the kernel has, though farmc.path sees nothing while farmc.service runs. The pauses have the
// last edit meet each moment of the service.
func quickEdits(m *Machine) {
	for round := range 5 {
		var edits strings.Builder
		for i := range 100 {
			fmt.Fprintf(&edits, "printf '%%s' '%s' > /etc/farmc/farms.d/web.toml; sleep 0.0%02d\n", strings.ReplaceAll(web("11", "12"), "8080", fmt.Sprint(9000+100*round+i)), rand.IntN(40))
		}
		m.Do("%s", edits.String())
		m.agrees()
		if rules := m.Do("nft list table inet farmc"); !strings.Contains(rules, fmt.Sprint(9099+100*round)) {
			m.t.Errorf("the last edit isn't what the kernel has:\n%s", rules)
		}
	}
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
}

// A fault is told by the unit's status, with its place, and the rules that run stay.
func slip(m *Machine) {
	before := m.holds()
	quiet := m.traffic()
	m.Write("/etc/farmc/farms.d/web.toml", strings.Replace(web("11"), "port", "prot", 1))
	m.Until("systemctl is-failed farmc.service")
	m.tellsFault()
	if now := m.holds(); now != before {
		m.t.Errorf("the kernel holds %q, not %q as before", now, before)
	}
	quiet()
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.Until("[ \"$(systemctl show --property=Result farmc.service)\" = Result=success ]")
}

func (m *Machine) tellsFault() {
	m.t.Helper()
	m.Until(`systemctl status --no-pager --lines=30 farmc.service | grep -F '/etc/farmc/farms.d/web.toml:4:1: error: unknown key "prot"'`)
}

// Both services see /etc as a read-only mount. A farm that user nobody may write is no farm of root's all the same.
func othersWrite(m *Machine) {
	before := m.holds()
	m.Do("systemctl stop farmc.path; chmod 777 /etc/farmc/farms.d")
	m.Do("setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c 'cat > /etc/farmc/farms.d/evil.toml' << EOF\n%sEOF", webAt("81"))
	refused := func(of string) {
		m.t.Helper()
		if out, status := m.Try("systemctl start farmc.service"); status == 0 {
			m.t.Errorf("farmc.service loads farms, though %s may write to it: %s", of, out)
		}
		m.Do("systemctl start farmc-watch.service")
		for _, unit := range []string{"farmc", "farmc-watch"} {
			m.Until("journalctl --no-pager --since=-1min -u %s.service | grep -F '%s may write to it'", unit, of)
		}
		m.Do("systemctl stop farmc-watch.service")
		if now := m.holds(); now != before {
			m.t.Errorf("the kernel holds %q, not %q as before", now, before)
		}
	}
	refused("/etc/farmc/farms.d: error: every user")
	m.Do("chmod 755 /etc/farmc/farms.d")
	refused("/etc/farmc/farms.d/evil.toml: error: the user nobody")
	m.Do("rm /etc/farmc/farms.d/evil.toml; systemctl reset-failed farmc.service; systemctl start farmc.service farmc.path")
	m.agrees()
}

// What hangs on an interface is left out until it is there. The container has no udev, so the test stands for it.
func interfaceAppears(m *Machine) {
	m.Write("/etc/farmc/farms.d/late.toml", "mode = \"dsr\"\nlisten = \"192.0.2.2:80\"\ninterfaces = [\"late0\"]\n[backends.b1]\naddress = \"10.9.0.11\"\n")
	m.agrees()
	if _, status := m.Try("nft list table netdev farmc | grep late0"); status == 0 {
		m.t.Error("there are rules for an interface that isn't there")
	}
	m.Do("ip link add late0 type veth peer name late1")
	m.Do("/usr/lib/farmc/look interface late0")
	m.Until("nft list table netdev farmc | grep late0")
	m.Do("ip link delete late0")
	m.Do("rm /etc/farmc/farms.d/late.toml")
	m.agrees()
}

// The rules of Debian's firewall begin with flush ruleset, and its stop ends with it.
func firewall(m *Machine) {
	for _, verb := range []string{"start", "restart", "reload", "restart"} {
		m.Do("systemctl %s nftables.service", verb)
		m.serves("11")
		m.agrees()
	}
	m.Do("systemctl stop nftables.service")
	m.Do("systemctl start nftables.service")
	m.serves("11")
}

// On a machine that is up what comes back after a flush is all of the last good farms, with what hangs on interfaces, and
// not what is for the boot: by nft alone, as nobody puts in later what lacks. After a boot it is what is for the boot.
func firewallAlone(m *Machine) {
	m.Write("/etc/farmc/farms.d/near.toml", "mode = \"dsr\"\nlisten = \"192.0.2.2:80\"\ninterfaces = [\"client\"]\n[backends.b1]\naddress = \"10.2.0.11\"\ninterface = \"backend\"\n")
	m.agrees()
	const watchers = "farmc.path farmc.service farmc-look.service" // each of which starts another
	m.Do("systemctl mask --runtime --now " + watchers)
	loaded, boot := m.Do("grep -o sha256:[0-9a-f]* /var/lib/farmc/loaded.nft"), m.Do("grep -o sha256:[0-9a-f]* /var/lib/farmc/boot.nft")
	if loaded == boot {
		m.t.Fatal("nothing hangs on an interface")
	}
	often := slices.Repeat([]string{"restart nftables.service", "reload nftables.service", "restart farmc-boot.service"}, 5)
	for _, restart := range often {
		m.Until("systemctl is-active farmc-boot.service") // systemd drops a reload of what is about to start
		m.Do("systemctl reset-failed nftables.service")   // which has a bound of its own
		m.Do("nft flush ruleset")
		m.Do("systemctl %s", restart)
		m.Until("nft list table inet farmc")
		if now := m.loaded(); now != strings.TrimSpace(loaded) {
			m.t.Errorf("%s: the kernel holds %q; loaded.nft is %s, boot.nft is %s", restart, now, loaded, boot)
		}
		m.Do("nft list table netdev farmc | grep -F '\"client\"'")
		m.serves("11")
	}
	m.Do("chmod 777 /var/lib/farmc; nft flush ruleset")
	if out, status := m.Try("systemctl restart farmc-boot.service"); status == 0 || m.loaded() != "" {
		m.t.Errorf("what everybody may write to is loaded (%d): %s\n%s", status, out, m.journal())
	}
	m.Do("chmod 755 /var/lib/farmc; systemctl restart farmc-boot.service")
	m.Do("rm /etc/farmc/farms.d/near.toml; systemctl unmask --runtime " + watchers + "; systemctl start farmc.path")
	m.agrees()
}

// Between a flush and the next load packets of open connections meet no translation. A firewall that includes the last
// good farms is reloaded with them in one transaction.
func firewallWithFarms(m *Machine) {
	m.Do(`cp /etc/nftables.conf /root; echo 'include "/var/lib/farmc/boot.n*ft"' >> /etc/nftables.conf`)
	m.Do("systemctl start nftables.service")
	m.serves("11")
	quiet := m.traffic()
	for range 5 {
		m.Do("systemctl reload nftables.service")
	}
	m.agrees()
	quiet()
	m.Do("cp /root/nftables.conf /etc")
}

func upgrade(m *Machine) {
	before := m.holds()
	quiet := m.traffic()
	for _, file := range []string{"farmc-99.deb", "farmc.deb", "farmc-0.0.1.deb", "farmc.deb"} {
		m.Do("dpkg -i --force-downgrade /root/%s", file)
		if now := m.holds(); now != before {
			m.t.Errorf("%s: the kernel holds %q, not %q as before", file, now, before)
		}
		m.Do("systemctl is-active farmc.path")
	}
	m.Do("dpkg --remove farmc")
	if now := m.holds(); now != before {
		m.t.Errorf("removed: the kernel holds %q, not %q as before", now, before)
	}
	m.Do("dpkg -i /root/farmc.deb")
	m.Do("systemctl is-active farmc.path")
	m.Do("systemctl restart farmc.path farmc.service")
	quiet()
}

// Farms of many kinds, which an older farmc has loaded and kept in its own way, are this one's, and the other way round: no
// connection is lost, and each of them follows edits, knows the farms and goes back.
func upgradeOlder(m *Machine) {
	if *older == "" {
		m.t.Skip("make test-systemd OLDER=farmc.deb has one")
	}
	others := map[string]string{
		"turns":  "scheduler = \"round-robin\"\n" + webAt("81"),
		"keep":   webAt("82") + "[persistence]\ntimeout = \"10m\"\n[limits]\nnew-per-client = { rate = \"1000/second\", burst = 2000 }\nban = \"1h\"\n",
		"denied": webAt("83") + "[access]\ndeny = [\"203.0.113.0/24\"]\n",
	}
	for name, farm := range others {
		m.Write("/etc/farmc/farms.d/"+name+".toml", farm)
	}
	m.agrees()
	m.Do("farmc ban keep 198.51.100.77 1h")
	quiet := m.traffic()
	for _, file := range []string{"farmc-0.0.2.deb", "farmc.deb", "farmc-0.0.2.deb", "farmc-99.deb", "farmc.deb"} {
		m.Do("dpkg -i --force-downgrade /root/%s", file)
		m.Do("systemctl is-active farmc.path")
		m.Do("systemctl start farmc.service")
		m.t.Logf("%s: %s", file, strings.TrimSpace(m.Do("journalctl --no-pager --unit=farmc.service --lines=30 --output=cat | grep -E '[0-9]+ farms' | tail -n 1")))
		m.agrees()
		m.Do("farmc status | grep 'banned: 198.51.100.77 for '")
		m.Write("/etc/farmc/farms.d/web.toml", web("12"))
		m.serves("12")
		m.agrees()
		m.Write("/etc/farmc/farms.d/web.toml", web("11"))
		m.serves("11")
		m.agrees()
		m.Do("systemctl stop farmc.path farmc.service; farmc rollback")
		m.serves("12")
		m.Do("cd /etc/farmc/farms.d; echo >> web.toml; systemctl start farmc.path farmc.service")
		m.serves("11")
	}
	quiet()
	m.Do("cd /etc/farmc/farms.d; rm turns.toml keep.toml denied.toml")
	m.agrees()
}

// The last good farms serve after a reboot before anybody looked at the farms, and the status says what is wrong.
func rebootBroken(m *Machine) {
	m.agrees()
	before := m.holds()
	m.Do("systemctl enable nftables.service")
	m.Write("/etc/farmc/farms.d/web.toml", strings.Replace(web("11"), "port", "prot", 1))
	m.Reboot()
	if now := m.holds(); now != before {
		m.t.Errorf("the kernel holds %q, not %q as before\n%s", now, before, m.journal())
	}
	m.connect()
	m.serves("11")
	m.tellsFault()
	m.Do("systemctl is-active farmc-boot.service")
	order := m.Do("systemctl show --property=Before farmc-boot.service")
	if !strings.Contains(order, "network-pre.target") {
		m.t.Errorf("farmc-boot.service is not before the network: %s", order)
	}
	m.Write("/etc/farmc/farms.d/web.toml", web("12"))
	m.serves("12")
}

func rebootBare(m *Machine) {
	m.Do("systemctl disable nftables.service")
	m.Do("mv /usr/bin/farmc /root; mv /etc/farmc/farms.d/web.toml /root")
	m.Reboot()
	m.connect()
	m.serves("12")
	m.Do("mv /root/farmc /usr/bin; mv /root/web.toml /etc/farmc/farms.d")
	m.agrees()
}

// Whoever prefers the daemon enables it; the path unit steps aside, also after an upgrade and a reboot.
func watched(m *Machine) {
	m.Do("systemctl enable --now farmc-watch.service")
	alone := func() {
		m.t.Helper()
		m.Do("systemctl is-active farmc-watch.service")
		if out, status := m.Try("systemctl is-active farmc.path"); status == 0 {
			m.t.Errorf("farmc.path is %s", out)
		}
	}
	alone()
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
	quiet := m.traffic()
	m.Do("dpkg -i /root/farmc-99.deb")
	alone()
	m.Do("systemctl reload farmc-watch.service")
	m.Do("systemctl restart farmc-watch.service")
	quiet()
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
	alone()
	m.serves("12")
}

// Nothing is left of a package that was purged.
func purged(m *Machine) {
	m.Do("dpkg --remove farmc")
	m.serves("12")
	m.Do("dpkg --purge farmc")
	if rules := m.Do("nft list ruleset"); strings.Contains(rules, "farmc") {
		m.t.Errorf("rules are left:\n%s", rules)
	}
	if left := m.Do("find / -xdev -name '*farmc*' ! -path '/root/*' ! -path '/proc/*' ! -path '/sys/*' ! -path '/var/log/*'; find /run -name '*farmc*'"); left != "" {
		m.t.Errorf("files are left:\n%s", left)
	}
	if units := m.Do("systemctl list-units --all --no-legend --plain 'farmc*'"); units != "" {
		m.t.Errorf("units are left:\n%s", units)
	}
	m.Do("dpkg -i /root/farmc.deb")
	if m.loaded() != "" {
		m.t.Error("installed again, farmc remembers what it had loaded")
	}
}

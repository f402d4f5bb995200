package packagetest

import "strings"

// doctorFindsUnits: farmc doctor finds units that do not run, are not enabled, or failed, and the printed commands end
// that. An installed package has no such finding.
func doctorFindsUnits(m *Machine) {
	m.doctorIsSilent()
	m.Do("systemctl stop farmc-watch")
	m.followsDoctor("no unit follows the files")
	m.Write("/etc/farmc/farms.d/web.toml", web("12"))
	m.serves("12")
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")

	m.Do("systemctl disable farmc-watch farmc-boot 2>&1")
	m.followsDoctor("no unit loads the farms at the next boot")
	m.Do("systemctl is-enabled farmc-watch farmc-boot")

	const broken = "/run/systemd/system/farmc-watch.service.d/broken.conf"
	m.Do("mkdir -p /run/systemd/system/farmc-watch.service.d")
	m.Write(broken, "[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart=/bin/false\n")
	m.Do("systemctl daemon-reload; systemctl restart farmc-watch || true; rm %s; systemctl daemon-reload", broken)
	m.serves("11") // the rules stay
	m.followsDoctor("farmc-watch.service failed")
	m.serves("11")
	m.Do("systemctl is-active farmc-watch")
}

func (m *Machine) doctorIsSilent() {
	m.t.Helper()
	for _, word := range []string{"unit", "failed"} {
		if out := m.Do("farmc doctor 2>&1"); strings.Contains(out, word) {
			m.t.Errorf("farmc doctor finds\n%s", out)
		}
	}
}

// followsDoctor wants a finding, runs its commands, and wants no finding.
func (m *Machine) followsDoctor(says string) {
	m.t.Helper()
	out := m.Do("farmc doctor 2>&1")
	_, rest, found := strings.Cut(out, says)
	_, rest, _ = strings.Cut(rest, "\n  hint: ")
	hint, _, _ := strings.Cut(rest, "\n")
	if !found || hint == "" {
		m.t.Fatalf("want %q with a hint, got\n%s", says, out)
	}
	m.t.Log(hint)
	m.Do("%s", "export SYSTEMD_PAGER=cat; "+hint)
	m.doctorIsSilent()
}

package packagetest

import "strings"

// switchesOff: once the services are disabled, unload removes all rules, and a boot brings none back.
func switchesOff(m *Machine) {
	if out, status := m.Try("farmc unload 2>&1"); status == 0 || !strings.Contains(out, "farmc watch runs") {
		m.t.Errorf("unload beside farmc watch prints %s, and exits with %d", out, status)
	}
	m.Do("systemctl disable --now farmc-watch farmc.path")
	if out := m.Do("farmc unload 2>&1"); strings.Contains(out, "farmc.path") {
		m.t.Errorf("unload speaks of farmc.path, which is stopped: %s", out)
	}
	m.Reboot()
	m.connect()
	if m.loadedDigest() != "" {
		m.t.Error("the boot has loaded rules")
	}
	m.Do("systemctl enable --now farmc-watch")
	m.Until("systemctl is-active farmc-watch")
	m.awaitNoDiff()
	m.serves("12")
}

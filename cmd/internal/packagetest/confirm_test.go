package packagetest

import "time"

// confirmOutlivesService: apply --confirm under systemd-run is taken back, even if the service that runs it is stopped:
// systemd kills all processes of the service, and the confirm timer is a unit of its own.
func confirmOutlivesService(m *Machine) {
	m.Do("systemctl stop farmc.service")
	m.Write("/etc/farmc/farms.d/web.toml", web("12"))
	m.Do("systemd-run --unit=edit farmc apply --confirm 10s")
	m.Until("journalctl --unit=edit | grep -F 'run farmc confirm, or'")
	m.serves("12")
	m.Do("systemctl stop edit")
	if out, status := m.Try("systemctl list-units --no-legend 'farmc-confirm-*' | grep -F running"); status != 0 {
		m.t.Errorf("no unit waits for the confirm: %s", out)
	}
	m.Until("farmc status web | grep -F 10.2.0.11")
	m.serves("11")
	m.Until("! systemctl list-units --no-legend 'farmc-confirm-*' | grep .")
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.Do("farmc apply; systemctl start farmc.service")
}

// confirmTakesBackSavedEdit: the watcher loads an edit at its save; apply --confirm after that still takes it back.
func confirmTakesBackSavedEdit(m *Machine) {
	m.Write("/etc/farmc/farms.d/web.toml", web("12"))
	m.serves("12")
	m.awaitNoDiff()
	began := time.Now()
	out, status := m.Try("farmc apply --confirm 5s")
	if status != 1 || time.Since(began) < 5*time.Second {
		m.t.Errorf("status %d after %s: %s", status, time.Since(began), out)
	}
	m.serves("11")
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
	m.awaitNoDiff()
}

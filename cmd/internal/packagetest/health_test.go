package packagetest

// healthWaitsForKey: without a key farmc-health.service is enabled, and does not run.
func healthWaitsForKey(m *Machine) {
	m.Do("systemctl is-enabled farmc-health")
	m.Do("systemctl start farmc-health")
	m.Do(`[ "$(systemctl show -P ActiveState -P ConditionResult farmc-health | xargs)" = 'inactive no' ]`)
}

// healthTakesOut: with a key it takes an unhealthy backend out, and brings it back. It is neither root nor the user of
// the API, has no capability, and runs programs of checks.d as its own user.
func healthTakesOut(m *Machine) {
	m.Do("umask 077; farmc api-key health --role health >/etc/farmc/health.key; systemctl start farmc-health")
	process := "/proc/$(systemctl show -P MainPID farmc-health)"
	m.Do("grep -q '^CapBnd:[[:space:]]*0*$' %[1]s/status && "+
		"! grep -qE '^Uid:[[:space:]]*(0|'$(id -u farmc)')[[:space:]]' %[1]s/status", process)
	m.Do("mkdir -p /etc/farmc/checks.d /run/check; chmod 755 /run/check /etc/farmc/checks.d")
	m.Write("/etc/farmc/checks.d/user", "#!/bin/sh\nid -u\n[ ! -e /run/check/down ] || exit 1\n")
	m.Do("chmod 755 /etc/farmc/checks.d/user")
	m.Write("/etc/farmc/farms.d/web.toml",
		"health = { type = \"exec\", program = \"user\", interval = \"200ms\", timeout = \"20s\" }\n"+web("11", "12"))
	m.Until(`%s/v1/farms/web/backends/b11/health |
		grep -F '"healthy":true,"weight":100,"reason":"'$(awk '/^Uid:/{print $2}' %s/status)'"'`, onSocket, process)
	m.Do("touch /run/check/down")
	m.Until("farmc status web | grep -E 'health +b11: unhealthy by '")
	m.Until("systemctl status --no-pager farmc-health | grep -E 'Status: \"2 backends are checked, 2 are unhealthy'")
	m.Do("rm /run/check/down")
	m.Until("! farmc status web | grep -F unhealthy")
	m.Do("systemctl kill --kill-whom=main --signal=KILL farmc-health")
	m.Until("systemctl is-active farmc-health")
	m.Do("systemctl stop farmc-health; rm -r /etc/farmc/health.key /etc/farmc/checks.d /run/check")
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
}

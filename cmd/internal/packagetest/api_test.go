package packagetest

// onSocket is curl as root on the socket of the API.
const onSocket = "curl -sS -m 20 --unix-socket /run/farmc/api.sock http://farmc"

// asUser is curl as a user, with the configuration in its home.
func asUser(user, arguments string) string {
	return "runuser -u " + user + " -- curl -sS -m 20 -K /home/" + user + "/curlrc " + arguments
}

// statusOf waits until the request of this command gets a status of HTTP.
func (m *Machine) statusOf(command, want string) {
	m.t.Helper()
	m.Until(`[ "$(%s -o /dev/null -w '%%{http_code}')" = %s ]`, command, want)
}

// apiAnswers: root asks for farms without a key. The process that speaks HTTP is not root, and has neither a capability
// nor a network.
func apiAnswers(m *Machine) {
	m.Do(`[ "$(stat -c '%%a %%U %%G' /run/farmc/api.sock)" = '660 root farmc' ]`)
	m.Do(onSocket + `/v1/farms?select=name,loaded | grep -xF '{"farms":[{"name":"web","loaded":true}]}'`)
	m.Do(onSocket + `/v1/script | grep -F 'table inet farmc'`)
	process := "/proc/$(systemctl show -P MainPID farmc-api)"
	m.Do("grep -q '^CapBnd:[[:space:]]*0*$' %[1]s/status && [ $(stat -c %%U %[1]s) = farmc ]", process)
	m.Do("[ $(readlink %[1]s/ns/net) != $(readlink /proc/self/ns/net) ]", process)
	if out := m.Do("systemctl list-units --failed --no-legend 'farmc*'"); out != "" {
		m.t.Errorf("failed units: %s", out)
	}
}

// apiNeedsKeys: other users need the group farmc and a key, which permits what its role permits. A deleted key is
// refused at once, and so are all keys of a file that other users can write to.
func apiNeedsKeys(m *Machine) {
	m.Do("useradd -m -G farmc ops; useradd -m other; touch /home/ops/curlrc /home/other/curlrc")
	api := "--unix-socket /run/farmc/api.sock http://farmc"
	m.Do(`umask 077
for user in ops other; do
	rc=/home/$user/keyrc
	printf 'header = "Key: %%s"\n' "$(farmc api-key $user --role read)" >$rc
	chown $user $rc
done`)
	m.Do(`[ "$(stat -c '%%a %%U %%G' /etc/farmc/api.keys)" = '640 root farmc' ]`)
	m.statusOf(asUser("ops", api+"/v1/farms"), "401")
	m.statusOf(asUser("ops", api+"/v1/farms -K /home/ops/keyrc"), "200")
	m.statusOf(asUser("ops", api+`/v1/check -K /home/ops/keyrc -d '{"farms": {}}'`), "200")
	if out, status := m.Try("%s", asUser("other", api+"/v1/farms -K /home/other/keyrc")); status != 7 {
		m.t.Errorf("a user outside of the group connects (%d): %s", status, out)
	}
	m.Do("chmod 666 /etc/farmc/api.keys")
	m.statusOf(asUser("ops", api+"/v1/farms -K /home/ops/keyrc"), "401")
	m.Until("journalctl --no-pager -u farmc-api | grep -F 'api.keys: every user may write to it'")
	m.Do("chmod 640 /etc/farmc/api.keys")
	m.statusOf(asUser("ops", api+"/v1/farms -K /home/ops/keyrc"), "200")
	m.Do("sed -i /^other/d /etc/farmc/api.keys")
	m.statusOf(onSocket+"/v1/farms -K /home/other/keyrc", "401")
}

// apiRelayIsPrivate: only farmc-api.service and root can hand requests to the watcher.
func apiRelayIsPrivate(m *Machine) {
	for _, user := range []string{"other", "ops"} {
		ask := asUser(user, "--unix-socket /run/farmc/relay/watch.sock http://farmc")
		if out, status := m.Try("%s", ask); status == 0 {
			m.t.Errorf("%s gets an answer: %s", user, out)
		}
	}
	refused := "journalctl --no-pager -u farmc-watch | grep -F \"the user $(id -u %s) is not that of farmc api\""
	m.Until(refused, "ops")
	if out, status := m.Try(refused, "other"); status == 0 {
		m.t.Errorf("a user outside of the group connects: %s", out)
	}
	m.Do("systemctl is-active farmc-watch")
}

// apiOverTCP: a drop-in of the sockets opens a port. A port that other machines reach needs TLS.
func apiOverTCP(m *Machine) {
	m.Do("mkdir /etc/systemd/system/farmc-api.socket.d")
	m.Write("/etc/systemd/system/farmc-api.socket.d/tcp.conf", "[Socket]\nListenStream=127.0.0.1:5555\n"+
		"ListenStream=198.51.100.1:5556\n")
	m.Do("systemctl daemon-reload; systemctl restart farmc-api.socket")
	m.statusOf("curl -sS -m 20 http://127.0.0.1:5555/v1/farms", "401")
	m.statusOf("curl -sS -m 20 -K /home/ops/keyrc http://127.0.0.1:5555/v1/farms", "200")
	m.Until("journalctl --no-pager -u farmc-api | grep -F 'other machines reach 198.51.100.1:5556: give --tls-cert'")
	m.statusOf(onSocket+"/v1/farms", "200")
	m.Do("rm -r /etc/systemd/system/farmc-api.socket.d; systemctl daemon-reload; systemctl restart farmc-api.socket")
	m.statusOf(onSocket+"/v1/farms", "200")
	if out, status := m.Try("curl -sS -m 20 http://127.0.0.1:5555/healthz"); status != 7 {
		m.t.Errorf("the port is still open (%d): %s", status, out)
	}
}

// apiComesBack: the end of either process is none of the other one, and none of the rules.
func apiComesBack(m *Machine) {
	before := m.mustBeLoaded()
	stop := m.traffic()
	for _, signal := range []string{"KILL", "SEGV"} {
		old := m.Do("systemctl show -P MainPID farmc-api")
		m.Do("systemctl kill --kill-whom=main --signal=%s farmc-api", signal)
		m.statusOf(onSocket+"/v1/farms", "200")
		m.Until("systemctl is-active farmc-api")
		if now := m.Do("systemctl show -P MainPID farmc-api"); now == old {
			m.t.Errorf("the process %s survives %s", now, signal)
		}
	}
	m.Do("systemctl kill --kill-whom=main --signal=KILL farmc-watch")
	m.statusOf(onSocket+"/v1/farms", "200")
	m.Do("systemctl stop farmc-watch")
	m.statusOf(onSocket+"/v1/farms", "503")
	m.statusOf(onSocket+"/healthz", "200")
	m.Do("systemctl start farmc-watch")
	m.statusOf(onSocket+"/v1/farms", "200")
	m.Do("systemctl stop farmc-api.socket && [ ! -e /run/farmc/api.sock ] && systemctl start farmc-api.socket")
	m.statusOf(onSocket+"/v1/farms", "200")
	stop()
	if now := m.mustBeLoaded(); now != before {
		m.t.Errorf("the loaded digest is %q, want %q as before", now, before)
	}
}

// watcherChangesFarms: the watcher in its sandbox runs commands that write drop-ins, and can write farms, but no other
// file of the system.
func watcherChangesFarms(m *Machine) {
	m.Do("nsenter --target $(systemctl show -P MainPID farmc-watch) --mount sh -c " +
		"'cd /etc/farmc/farms.d && touch .x && rm .x || exit 1; for dir in /etc /usr /var; do ! touch $dir/.x || " +
		"exit 1; done'")
	m.Write("/etc/farmc/farms.d/web.toml", web("11", "12"))
	m.awaitNoDiff()
	m.Do("farmc drain --for 1h web b11")
	m.Until("journalctl --no-pager -u farmc-watch | grep -F 'drain: '")
	m.serves("12")
	m.Do(onSocket + `/v1/farms/web/backends/b11 | grep -F '"state":"drain"'`)
	m.Do("farmc up web b11 && farmc status web | grep -E '^ *b11 .*up' && rm -r /run/farmc/farms.d/web.toml.d")
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
	m.awaitNoDiff()
}

// optionsOfServices: /etc/default/farmc has the options of all processes, and a reload of the service uses them, too.
func optionsOfServices(m *Machine) {
	m.Do("cp /etc/default/farmc /root/default; mkdir /srv/farms; "+
		"printf '%%s' '%s' >/srv/farms/more.toml; "+
		`sed -i 's|^FARMC_OPTIONS=.*|FARMC_OPTIONS="--dir /etc/farmc/farms.d --dir /srv/farms"|; `+
		`s|^FARMC_WATCH_OPTIONS=.*|FARMC_WATCH_OPTIONS="--api unix:/run/farmc/one.sock"|; `+
		`s|^FARMC_API_OPTIONS=.*|FARMC_API_OPTIONS="--api-keys /etc/farmc/none"|' /etc/default/farmc; `+
		"systemctl restart farmc farmc-api", webAt("83"))
	m.Until(inClient + "request 192.0.2.1:83")
	m.Do("systemctl reload farmc && farmc diff --dir /etc/farmc/farms.d --dir /srv/farms")
	m.statusOf(onSocket+"/v1/farms -K /home/ops/keyrc", "401")
	m.statusOf("curl -sS -m 20 --unix-socket /run/farmc/one.sock http://farmc/v1/farms", "200")
	m.Do("cp /root/default /etc/default/farmc; rm -r /srv/farms; systemctl restart farmc farmc-api")
	m.statusOf(onSocket+"/v1/farms -K /home/ops/keyrc", "200")
	m.awaitNoDiff()
}

// upgradeKeepsAPI: an upgrade and its way back keep the sockets, and a socket that is disabled stays so.
func upgradeKeepsAPI(m *Machine) {
	for _, file := range []string{"farmc-99.deb", "farmc.deb"} {
		m.Do("dpkg -i --force-downgrade /root/%s", file)
		m.statusOf(onSocket+"/v1/farms", "200")
		m.Do("systemctl is-active farmc-api.socket farmc-api.service && systemctl is-enabled farmc-api.socket")
	}
	m.Do("systemctl disable --now farmc-api.socket; dpkg -i /root/farmc.deb")
	if out, status := m.Try("systemctl is-active farmc-api.socket farmc-api.service || " +
		"systemctl is-enabled farmc-api.socket"); status == 0 {
		m.t.Errorf("sockets that were disabled are %s", out)
	}
	m.Do("systemctl enable --now farmc-api.socket")
	m.statusOf(onSocket+"/v1/farms", "200")
}

// apiWritesFarms: a write of the API is in force and in the files, which keep their owner, mode and text.
func apiWritesFarms(m *Machine) {
	m.Write("/etc/farmc/farms.d/web.toml", "# by hand\n"+web("11", "12"))
	m.awaitNoDiff()
	m.Do("chmod 640 /etc/farmc/farms.d/web.toml")
	m.Do(onSocket + `/v1/farms/web -X PATCH -d '{"backends": {"b11": {"state": "down"}}}' | grep -F '"changes":["'`)
	m.serves("12")
	m.Do(`head -n 1 /etc/farmc/farms.d/web.toml | grep -x '# by hand' && ` +
		`[ "$(stat -c '%%a %%U %%G' /etc/farmc/farms.d/web.toml)" = '640 root root' ] && farmc diff`)
	m.Do(onSocket + `/v1/farms/more -X PUT -d '{"listen": "192.0.2.1:84", "backends": {"b11": {"address": ` +
		`"10.2.0.11", "port": 8080}}}' | grep -F '"changes":["'`)
	m.Do(inClient + "request 192.0.2.1:84")
	m.Do(`[ "$(stat -c '%%a %%U %%G' /etc/farmc/farms.d/more.toml)" = '644 root root' ] && farmc check`)
	m.Do(onSocket + `/v1/farms/more -X DELETE | grep -F '"changes":["' && [ ! -e /etc/farmc/farms.d/more.toml ]`)
	m.statusOf("runuser -u ops -- "+onSocket+"/v1/farms/web -X DELETE -K /home/ops/keyrc", "403")
	m.Write("/etc/farmc/farms.d/web.toml", web("11"))
	m.serves("11")
	m.awaitNoDiff()
}

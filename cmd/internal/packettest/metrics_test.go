package packettest

import (
	"fmt"
	"maps"
	"path/filepath"
	"testing"

	"farmc/cmd/internal/netlab"
)

const measuredFarm = `listen = ["192.0.2.1:80", "[2001:db8::1]:80"]
persistence.timeout = "1h"
access.deny = "@bad"
limits.connections-per-client = 3
limits.ban = "1h"
[backends.b1]
address = ["10.2.0.11", "fd00:2::11"]
weight = 3
[backends.b2]
address = ["10.2.0.12", "fd00:2::12"]
[backends.b3]
address = ["10.2.0.13", "fd00:2::13"]
state = "drain"
`

// The numbers of GET /metrics are those that clients and backends count.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	dir, socket := t.TempDir(), filepath.Join(t.TempDir(), "api.sock")
	must(t, writeFile(filepath.Join(dir, "web.toml"), measuredFarm))
	must(t, writeFile(filepath.Join(dir, "bad.list"), "198.51.100.109\n2001:db8:c:109::/64\n"))
	w := startFarmc(t, s, farmc(t), "watch", "--dir", dir, "--state-dir", t.TempDir(), "--api", "unix:"+socket)
	must(t, eventually{w.says("1 farm loaded")}.do(s))
	m := measured{socket: socket, want: metrics{
		`farmc_rules_in_sync`:                              1,
		`farmc_farm_up{farm="web"}`:                        1,
		`farmc_backend_up{backend="b1",farm="web"}`:        1,
		`farmc_backend_up{backend="b3",farm="web"}`:        0,
		backendMetric("weight_ratio", "b1"):                0.75,
		backendMetric("weight_ratio", "b3"):                0,
		`farmc_tampered_total`:                             0,
		`farmc_loads_total{result="ok",way="complete"}`:    1,
		`farmc_load_duration_seconds_count{stage="total"}`: 1,
	}}
	for _, backend := range []string{"b1", "b2", "b3"} {
		m.want[backendMetric("connections", backend)] = 0
		m.want[backendMetric("connections_total", backend)] = 0
	}
	must(t, m.do(s))

	for client := range 8 {
		for range 2 {
			must(t, m.connect(s, client, false))
		}
		must(t, m.connect(s, client, true))
	}
	m.want[`farmc_persistent_clients{farm="web"}`] = 8 * 2
	must(t, eventually{m}.do(s))

	must(t, attempt{as: 0, by: "tcp", to: service1, times: 3, pass: 2, keep: true}.do(s))
	must(t, attempt{as: 0x109 - 0x100, by: "tcp", to: service1, times: 2}.do(s))
	maps.DeleteFunc(m.want, func(name string, _ float64) bool { return name != `farmc_persistent_clients{farm="web"}` })
	m.want[`farmc_limited_packets_total{farm="web",reason="connections-per-client"}`] = 2
	m.want[`farmc_denied_packets_total{farm="web"}`] = 0
	m.want[`farmc_denied_packets_total{farm="web",list="bad"}`] = float64(2*2 + s.retransmitted)
	m.want[`farmc_banned_clients{farm="web"}`] = 2
	must(t, eventually{m}.do(s))
	must(t, w.stop())
}

func backendMetric(name, backend string) string {
	return fmt.Sprintf("farmc_backend_%s{backend=%q,farm=\"web\"}", name, backend)
}

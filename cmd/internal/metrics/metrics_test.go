package metrics

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
)

func pointer[T any](value T) *T { return &value }

// site has measures of each kind.
func site() live.Measures {
	m := live.Measures{Persistent: map[string]int{"web": 7}, Bans: map[string]int{"web": 2}, FindingsOn: 1}
	m.Load.Time = "2026-01-02T03:04:05Z"
	m.Agree = true
	m.Faults = []live.Fault{{}}
	m.Farms = []live.FarmStatus{
		{Name: "mail", Condition: live.NoBackend, Backends: []live.BackendStatus{{Name: "b1", State: "down"}}},
		{Name: "old", Condition: live.Disabled},
		{Name: "web", Condition: live.Degraded, PanicBelow: 30,
			HeldBack: map[string]uint64{"denied": 5, "new": 6, "banned": 1},
			LetPass:  map[string]uint64{"strict-tcp": 4},
			DeniedBy: map[string]uint64{"spamhaus": 2}, LogOnly: map[string]uint64{"": 8, "suspects": 9},
			Backends: []live.BackendStatus{
				{Name: "b1", State: "up", Share: 1, Open: pointer(3), New: pointer(uint64(1 << 53)),
					Bytes: pointer(uint64(1500))},
				{Name: "b2", State: "drain", Open: pointer(0), New: pointer(uint64(0)), Healthy: pointer(false),
					Health: []live.HealthWord{{By: "c1"}, {By: "c2", Flaps: true}}},
				{Name: "b3", State: "down", Healthy: pointer(false), Health: []live.HealthWord{{By: "c1"}}}}},
	}
	return m
}

func metricsOf(m live.Measures, err error) *Metrics {
	return New("1.2", func(context.Context) (live.Measures, error) { return m, err })
}

func text(t testing.TB, m *Metrics) string {
	t.Helper()
	var out strings.Builder
	write, err := m.Read(t.Context())
	if err == nil {
		err = write(&out, expfmt.NewFormat(expfmt.TypeTextPlain))
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestFarms(t *testing.T) {
	got := text(t, metricsOf(site(), nil))
	for _, want := range []string{
		`farmc_backend_up{backend="b1",farm="mail"} 0`,
		`farmc_backend_up{backend="b1",farm="web"} 1`,
		`farmc_backend_up{backend="b2",farm="web"} 0`,
		`farmc_backend_healthy{backend="b2",farm="web"} 0`,
		`farmc_backend_flapping{backend="b2",farm="web"} 1`,
		`farmc_backend_flapping{backend="b3",farm="web"} 0`,
		`farmc_backend_weight_ratio{backend="b1",farm="web"} 1`,
		`farmc_log_only_packets_total{farm="web"} 8`,
		`farmc_log_only_packets_total{farm="web",list="suspects"} 9`,
		`farmc_backend_connections{backend="b1",farm="web"} 3`,
		`farmc_backend_connections{backend="b2",farm="web"} 0`,
		`farmc_backend_connections_total{backend="b1",farm="web"} 9.007199254740992e+15`,
		`farmc_backend_bytes_total{backend="b1",farm="web"} 1500`,
		`farmc_farm_up{farm="mail"} 0`,
		`farmc_farm_up{farm="web"} 1`,
		`farmc_denied_packets_total{farm="web"} 3`,
		`farmc_denied_packets_total{farm="web",list="spamhaus"} 2`,
		`farmc_limited_packets_total{farm="web",reason="banned"} 1`,
		`farmc_limited_packets_total{farm="web",reason="new"} 6`,
		`farmc_limited_packets_total{farm="web",reason="strict-tcp"} 4`,
		`farmc_banned_clients{farm="web"} 2`,
		`farmc_persistent_clients{farm="web"} 7`,
		`farmc_rules_in_sync 1`,
		`farmc_config_faults 1`,
		`farmc_machine_findings 1`,
		`farmc_last_load_success_timestamp_seconds 1.767323045e+09`,
		`farmc_build_info{version="1.2"} 1`,
		`farmc_loads_total{result="ok",way="incremental"} 0`,
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	for _, not := range []string{`flapping{backend="b1",farm="web"}`,
		`connections{backend="b1",farm="mail"}`, `up{farm="old"}`, `clients{farm="mail"}`} {
		if strings.Contains(got, not) {
			t.Errorf("the metrics have %s", not)
		}
	}
}

func TestLoads(t *testing.T) {
	m := metricsOf(live.Measures{}, live.ErrNothingLoaded)
	r := live.LoadReport{}
	r.Strategy, r.Stages = live.Incremental, live.Stages{Compile: 20 * time.Millisecond, Kernel: 70 * time.Millisecond}
	m.Loaded(r)
	r.Err = live.ErrUnkept
	m.Loaded(r)
	r.Err = live.ErrFaulty
	m.Loaded(r)
	m.Tampered()
	m.HealthChecked("web", "b1", health.Word{Late: 3 * time.Millisecond})
	m.HealthChecked("web", "b1", health.Word{})
	m.HealthChecked("web", "app@10.0.0.11", health.Word{Healthy: true, Late: 2 * time.Second})
	m.HealthChecked("web", "app@fd00::11", health.Word{Healthy: true})
	got := text(t, m)
	for _, want := range []string{
		`farmc_loads_total{result="ok",way="incremental"} 2`,
		`farmc_loads_total{result="failed",way="incremental"} 1`,
		`farmc_load_duration_seconds_count{stage="compile"} 3`,
		`farmc_load_duration_seconds_bucket{stage="total",le="0.05"} 0`,
		`farmc_load_duration_seconds_bucket{stage="total",le="0.1"} 3`,
		`farmc_tampered_total 1`,
		`farmc_health_checks_total{backend="b1",farm="web",result="unhealthy"} 2`,
		`farmc_health_checks_total{backend="app",farm="web",result="healthy"} 2`,
		`farmc_health_check_delay_seconds_count 2`,
		`farmc_health_check_delay_seconds_bucket{le="0.0025"} 0`,
		`farmc_health_check_delay_seconds_bucket{le="0.005"} 1`,
		`farmc_rules_in_sync 0`,
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, `stage="save"`) {
		t.Errorf("a stage that no load had is in\n%s", got)
	}
}

// promlint has no complaint, and no family is there twice.
func TestLint(t *testing.T) {
	m := metricsOf(site(), nil)
	m.Loaded(live.LoadReport{})
	m.HealthChecked("web", "b1", health.Word{})
	got := text(t, m)
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families := map[string]bool{}
	for line := range strings.Lines(got) {
		name, isHelp := strings.CutPrefix(line, "# HELP ")
		if name, _, _ = strings.Cut(name, " "); isHelp && (families[name] || !strings.HasPrefix(name, "farmc_")) {
			t.Errorf("the family %s is there twice or has another prefix", name)
		} else if isHelp {
			families[name] = true
		}
	}
	if len(families) != 24 {
		t.Errorf("%d families: %v", len(families), families)
	}
}

// 10,000 farms of 10 backends take less than a second of a processor.
func TestManyFarms(t *testing.T) {
	many := site()
	many.Farms = nil
	for i := range 10_000 {
		f := live.FarmStatus{Name: fmt.Sprintf("farm%05d", i), Condition: live.Working}
		for j := range 10 {
			f.Backends = append(f.Backends, live.BackendStatus{Name: fmt.Sprintf("b%d", j), State: "up", Share: 0.1,
				Open: pointer(i), New: pointer(uint64(i))})
		}
		many.Farms = append(many.Farms, f)
	}
	m := metricsOf(many, nil)
	before := processorTime(t)
	got := text(t, m)
	took := processorTime(t) - before
	t.Logf("%d bytes in %s of the processor", len(got), took)
	if n := strings.Count(got, "\nfarmc_backend_"); n != 400_000 {
		t.Errorf("%d metrics of backends", n)
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

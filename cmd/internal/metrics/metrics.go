// Package metrics writes the numbers of farms and loads in the format of Prometheus. It knows nothing of HTTP and of
// the kernel: package live reads the numbers.
//
// Order of the files: metrics.go has Metrics, with the numbers that farmc itself counts. farms.go makes the metrics of
// farms and backends, family.go a family of them.
//
// Be aware: with 10,000 farms there are half a million metrics. A collector of client_golang would send each of them
// through a channel, check and sort it; that alone takes more than a second. So a family of farms is made in a few
// allocations, in the order of the farms, and is written and dropped before the next one.
package metrics

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
)

// Metrics are the numbers of a process. Its methods can be called at once.
type Metrics struct {
	measure  func(context.Context) (live.Measures, error)
	registry *prometheus.Registry
	loads    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	tampered prometheus.Counter
	checks   *prometheus.CounterVec
	delays   prometheus.Histogram
}

// stageBuckets are the bounds of the durations of stages: a change of one of 10 farms takes 10 ms, a load of 10,000
// farms seconds, and lists of a million networks half a minute.
var stageBuckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// delayBuckets are the bounds of the delays of checks. A checker with time for its checks has some below 10 ms.
var delayBuckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// New returns the metrics of a process of the version. The numbers of the farms come from measure.
func New(version string, measure func(context.Context) (live.Measures, error)) *Metrics {
	m := &Metrics{measure: measure, registry: prometheus.NewRegistry()}
	m.loads = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "farmc_loads_total",
		Help: "Loads of rules, by result (ok, failed) and way (incremental, keep-sets, complete, none)."},
		[]string{"result", "way"})
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "farmc_load_duration_seconds",
		Help: "Duration of loads, by stage (compile, kernel, connections, save, total).", Buckets: stageBuckets},
		[]string{"stage"})
	m.tampered = prometheus.NewCounter(prometheus.CounterOpts{Name: "farmc_tampered_total",
		Help: "Changes of the rules by other programs."})
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "farmc_build_info",
		Help: "1, with the version of farmc.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.checks = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "farmc_health_checks_total",
		Help: "Words of health checkers, by result (healthy, unhealthy)."}, []string{"farm", "backend", "result"})
	m.delays = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "farmc_health_check_delay_seconds",
		Help: "Delay by which checks of a backend started at most between two words.", Buckets: delayBuckets})
	m.registry.MustRegister(m.loads, m.duration, m.tampered, m.checks, m.delays, build)
	for _, way := range []string{"incremental", "keep-sets", "complete", "none"} {
		m.loads.WithLabelValues("ok", way) // so that an increase from 0 is seen
		m.loads.WithLabelValues("failed", way)
	}
	return m
}

// Loaded counts a load.
func (m *Metrics) Loaded(r live.LoadReport) {
	result := "ok"
	if r.Failed() {
		result = "failed"
	}
	m.loads.WithLabelValues(result, r.Way()).Inc()
	for stage, took := range r.Stages.All() {
		if took > 0 {
			m.duration.WithLabelValues(stage).Observe(took.Seconds())
		}
	}
	m.duration.WithLabelValues("total").Observe(r.Stages.Total().Seconds())
}

// HealthChecked counts a word of a health checker. The addresses of a hostname count for their backend: in time DNS can
// have any number of them.
func (m *Metrics) HealthChecked(of, backend string, w health.Word) {
	result := "unhealthy"
	if w.Healthy {
		result = "healthy"
	}
	if host, _, isAddress := farm.SplitAddressName(backend); isAddress {
		backend = host
	}
	m.checks.WithLabelValues(of, backend, result).Inc()
	if w.Late > 0 {
		m.delays.Observe(w.Late.Seconds())
	}
}

// Tampered counts a change of the rules by another program.
func (m *Metrics) Tampered() { m.tampered.Inc() }

// Read reads all metrics. The result writes them; an error of it is one of the writer.
func (m *Metrics) Read(ctx context.Context) (write func(io.Writer, expfmt.Format) error, err error) {
	families, err := m.families(ctx)
	return func(w io.Writer, format expfmt.Format) error {
		encoder := expfmt.NewEncoder(w, format)
		for f := range families {
			if err := encoder.Encode(f); err != nil {
				return err
			}
		}
		return nil
	}, err
}

// families reads all metrics.
func (m *Metrics) families(ctx context.Context) (iter.Seq[*dto.MetricFamily], error) {
	measures, err := m.measure(ctx)
	if err != nil && !errors.Is(err, live.ErrNothingLoaded) {
		return nil, err
	}
	own, err := m.registry.Gather()
	if err != nil {
		return nil, err
	}
	return func(yield func(*dto.MetricFamily) bool) {
		for _, f := range own {
			if !yield(f) {
				return
			}
		}
		for f := range farmFamilies(measures) {
			if !yield(f) {
				return
			}
		}
	}, nil
}

// loadTime returns the time of the last load that succeeded.
func loadTime(m live.Measures) (seconds float64, known bool) {
	at, err := time.Parse(time.RFC3339, m.Load.Time)
	if err != nil {
		return 0, false
	}
	return float64(at.Unix()), true
}

package metrics

import (
	dto "github.com/prometheus/client_model/go"
)

// labels are the names and values of labels, sorted by name.
type labels []*dto.LabelPair

func label(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// A family is a metric family while it is made. Values are added in the order in which they are written.
type family struct {
	name, help string
	kind       dto.MetricType

	metrics  []dto.Metric
	gauges   []dto.Gauge
	counters []dto.Counter
	values   []float64
}

// newFamily returns a family with room for n values.
func newFamily(kind dto.MetricType, name, help string, n int) *family {
	f := &family{name: name, help: help, kind: kind, metrics: make([]dto.Metric, 0, n), values: make([]float64, 0, n)}
	if kind == dto.MetricType_COUNTER {
		f.counters = make([]dto.Counter, n)
	} else {
		f.gauges = make([]dto.Gauge, n)
	}
	return f
}

// add adds a value. There must be room for it.
func (f *family) add(l labels, value float64) {
	i := len(f.values)
	f.values = append(f.values, value)
	f.metrics = f.metrics[:i+1]
	m := &f.metrics[i]
	m.Label = l
	if f.kind == dto.MetricType_COUNTER {
		f.counters[i].Value = &f.values[i]
		m.Counter = &f.counters[i]
		return
	}
	f.gauges[i].Value = &f.values[i]
	m.Gauge = &f.gauges[i]
}

// done returns the family; nil if it has no value.
func (f *family) done() *dto.MetricFamily {
	if len(f.metrics) == 0 {
		return nil
	}
	out := &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: &f.kind, Metric: make([]*dto.Metric, len(f.metrics))}
	for i := range f.metrics {
		out.Metric[i] = &f.metrics[i]
	}
	return out
}

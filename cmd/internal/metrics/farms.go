package metrics

import (
	"iter"
	"maps"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"farmc/cmd/internal/live"
)

const (
	gauge   = dto.MetricType_GAUGE
	counter = dto.MetricType_COUNTER
)

// farmFamilies makes the metrics of all farms and backends, a family after the other.
func farmFamilies(m live.Measures) iter.Seq[*dto.MetricFamily] {
	s := newScrape(m)
	return func(yield func(*dto.MetricFamily) bool) {
		for _, make := range []func() *dto.MetricFamily{
			s.inSync, s.faults, s.findings, s.lastLoad,
			s.farmUp, s.panics, s.denied, s.logOnly, s.limited, s.cookies, s.banned, s.persistent,
			s.backendUp, s.healthy, s.flapping, s.weight, s.connections, s.connectionsTotal, s.bytesTotal,
		} {
			if f := make(); f != nil && !yield(f) {
				return
			}
		}
	}
}

// A scrape makes families of the same measures. Its families share the labels.
type scrape struct {
	live.Measures
	farms    []labels   // of each farm
	backends [][]labels // of each farm's backends
	count    int        // of all backends
}

var farmName, backendName = "farm", "backend"

func newScrape(m live.Measures) *scrape {
	s := &scrape{Measures: m, farms: make([]labels, len(m.Farms)), backends: make([][]labels, len(m.Farms))}
	for i := range m.Farms {
		s.count += len(m.Farms[i].Backends)
	}
	farms := make([]dto.LabelPair, len(m.Farms))
	backends := make([]dto.LabelPair, s.count)
	pairs := make(labels, 0, 2*s.count)
	all := make([]labels, 0, s.count)
	for i := range m.Farms {
		f := &m.Farms[i]
		farms[i].Name, farms[i].Value = &farmName, &f.Name
		s.farms[i] = labels{&farms[i]}
		from := len(all)
		for j := range f.Backends {
			of := &backends[len(all)]
			of.Name, of.Value = &backendName, &f.Backends[j].Name
			pairs = append(pairs, of, &farms[i])
			all = append(all, pairs[len(pairs)-2:len(pairs):len(pairs)])
		}
		s.backends[i] = all[from:len(all):len(all)]
	}
	return s
}

// single makes a family of one value without labels.
func single(name, help string, value float64) *dto.MetricFamily {
	f := newFamily(gauge, name, help, 1)
	f.add(nil, value)
	return f.done()
}

func truth(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

func (s *scrape) inSync() *dto.MetricFamily {
	return single("farmc_rules_in_sync", "1 if the kernel has the rules of the files, else 0.", truth(s.Agree))
}

func (s *scrape) faults() *dto.MetricFamily {
	return single("farmc_config_faults", "Faults in the files.", float64(len(s.Faults)))
}

func (s *scrape) findings() *dto.MetricFamily {
	return single("farmc_machine_findings", "Findings about the machine that keep farms from working.",
		float64(s.FindingsOn))
}

func (s *scrape) lastLoad() *dto.MetricFamily {
	at, known := loadTime(s.Measures)
	if !known {
		return nil
	}
	return single("farmc_last_load_success_timestamp_seconds", "Time of the last load that succeeded.", at)
}

// perFarm makes a family of a value for each farm; ok is false for a farm without it.
func (s *scrape) perFarm(kind dto.MetricType, name, help string,
	value func(*live.FarmStatus) (n float64, ok bool)) *dto.MetricFamily {
	f := newFamily(kind, name, help, len(s.Farms))
	for i := range s.Farms {
		if n, ok := value(&s.Farms[i]); ok {
			f.add(s.farms[i], n)
		}
	}
	return f.done()
}

// perBackend is perFarm for each backend.
func (s *scrape) perBackend(kind dto.MetricType, name, help string,
	value func(*live.BackendStatus) (n float64, ok bool)) *dto.MetricFamily {
	f := newFamily(kind, name, help, s.count)
	for i := range s.Farms {
		for j := range s.Farms[i].Backends {
			if n, ok := value(&s.Farms[i].Backends[j]); ok {
				f.add(s.backends[i][j], n)
			}
		}
	}
	return f.done()
}

func (s *scrape) farmUp() *dto.MetricFamily {
	return s.perFarm(gauge, "farmc_farm_up",
		"1 if the farm takes new clients, 0 if it cannot; no value if its file says that it is down.",
		func(f *live.FarmStatus) (float64, bool) {
			works := f.Condition == live.Working || f.Condition == live.Degraded || f.Condition == live.Panicking
			return truth(works), f.Condition != live.Disabled
		})
}

func (s *scrape) panics() *dto.MetricFamily {
	return s.perFarm(gauge, "farmc_farm_panic",
		"1 if unhealthy backends serve because too few are healthy, else 0; no value of farms without this rule.",
		func(f *live.FarmStatus) (float64, bool) { return truth(f.Panic != ""), f.PanicBelow > 0 })
}

// denied has the label list for packets that a list denies; without it are those of addresses in the farm itself.
func (s *scrape) denied() *dto.MetricFamily {
	n := 0
	for i := range s.Farms {
		n += 1 + len(s.Farms[i].DeniedBy)
	}
	f := newFamily(counter, "farmc_denied_packets_total", "Packets of clients that the farm denies, by the list.", n)
	for i := range s.Farms {
		own, counted := s.Farms[i].HeldBack[live.DeniedReason]
		byList := s.Farms[i].DeniedBy
		for _, list := range slices.Sorted(maps.Keys(byList)) {
			own -= byList[list]
			f.add(labels{s.farms[i][0], label("list", list)}, float64(byList[list]))
		}
		if counted {
			f.add(s.farms[i], float64(own))
		}
	}
	return f.done()
}

// logOnly has the label list as denied has it.
func (s *scrape) logOnly() *dto.MetricFamily {
	n := 0
	for i := range s.Farms {
		n += len(s.Farms[i].LogOnly)
	}
	f := newFamily(counter, "farmc_log_only_packets_total",
		"Packets of clients that the farm logs and does not deny, by the list.", n)
	for i := range s.Farms {
		byList := s.Farms[i].LogOnly
		for _, list := range slices.Sorted(maps.Keys(byList)) {
			of := s.farms[i]
			if list != "" {
				of = labels{of[0], label("list", list)}
			}
			f.add(of, float64(byList[list]))
		}
	}
	return f.done()
}

// cookies has no value of farms without synproxy.
func (s *scrape) cookies() *dto.MetricFamily {
	return s.perFarm(counter, "farmc_cookies_total", "SYNs that the kernel answered with cookies for the farm.",
		func(f *live.FarmStatus) (float64, bool) {
			if f.Cookies == nil {
				return 0, false
			}
			return float64(*f.Cookies), true
		})
}

// limited has a label more than the other metrics of farms.
func (s *scrape) limited() *dto.MetricFamily {
	n := 0
	for i := range s.Farms {
		n += len(s.Farms[i].HeldBack) + len(s.Farms[i].LetPass)
	}
	f := newFamily(counter, "farmc_limited_packets_total", "Packets over a limit of the farm, by the limit.", n)
	for i := range s.Farms {
		for _, packets := range []map[string]uint64{s.Farms[i].HeldBack, s.Farms[i].LetPass} {
			for _, reason := range slices.Sorted(maps.Keys(packets)) {
				if reason != live.DeniedReason {
					f.add(labels{s.farms[i][0], label("reason", reason)}, float64(packets[reason]))
				}
			}
		}
	}
	return f.done()
}

func (s *scrape) banned() *dto.MetricFamily {
	return s.perFarm(gauge, "farmc_banned_clients", "Clients that are banned from the farm.",
		func(f *live.FarmStatus) (float64, bool) {
			n, ok := s.Bans[f.Name]
			return float64(n), ok
		})
}

func (s *scrape) persistent() *dto.MetricFamily {
	return s.perFarm(gauge, "farmc_persistent_clients", "Clients that the farm keeps with their backend.",
		func(f *live.FarmStatus) (float64, bool) {
			n, ok := s.Persistent[f.Name]
			return float64(n), ok
		})
}

func (s *scrape) backendUp() *dto.MetricFamily {
	return s.perBackend(gauge, "farmc_backend_up", "1 if the state of the backend is up, 0 if it is drain or down.",
		func(b *live.BackendStatus) (float64, bool) {
			return truth(b.State != "down" && b.State != "drain"), true
		})
}

func (s *scrape) healthy() *dto.MetricFamily {
	return s.perChecked("farmc_backend_healthy",
		"1 if checkers say that the backend is healthy, else 0; no value of backends without a check.",
		func(b *live.BackendStatus) bool { return *b.Healthy })
}

func (s *scrape) flapping() *dto.MetricFamily {
	flaps := func(w live.HealthWord) bool { return w.Flaps }
	return s.perChecked("farmc_backend_flapping",
		"1 if a checker keeps the backend out because it fails again and again, else 0; no value without a check.",
		func(b *live.BackendStatus) bool { return slices.ContainsFunc(b.Health, flaps) })
}

// perChecked makes a family with a value of each backend that has a check; nil if none has.
func (s *scrape) perChecked(name, help string, is func(b *live.BackendStatus) bool) *dto.MetricFamily {
	isChecked := func(b live.BackendStatus) bool { return b.Healthy != nil }
	hasChecked := func(f live.FarmStatus) bool { return slices.ContainsFunc(f.Backends, isChecked) }
	if !slices.ContainsFunc(s.Farms, hasChecked) {
		return nil
	}
	return s.perBackend(gauge, name, help, func(b *live.BackendStatus) (float64, bool) {
		return truth(b.Healthy != nil && is(b)), b.Healthy != nil
	})
}

func (s *scrape) weight() *dto.MetricFamily {
	return s.perBackend(gauge, "farmc_backend_weight_ratio", "Share of the backend in the farm's new connections.",
		func(b *live.BackendStatus) (float64, bool) { return b.Share, true })
}

func (s *scrape) connections() *dto.MetricFamily {
	return s.perBackend(gauge, "farmc_backend_connections", "Open tracked connections of the backend.",
		func(b *live.BackendStatus) (float64, bool) {
			if b.Open == nil {
				return 0, false
			}
			return float64(*b.Open), true
		})
}

func (s *scrape) connectionsTotal() *dto.MetricFamily {
	return s.perBackend(counter, "farmc_backend_connections_total", "New connections that the backend got.",
		func(b *live.BackendStatus) (float64, bool) {
			if b.New == nil {
				return 0, false
			}
			return float64(*b.New), true
		})
}

// bytesTotal has no value if the kernel counts no bytes of connections.
func (s *scrape) bytesTotal() *dto.MetricFamily {
	return s.perBackend(counter, "farmc_backend_bytes_total",
		"Bytes of the tracked connections of the backend, in both directions, since the start of this process.",
		func(b *live.BackendStatus) (float64, bool) {
			if b.Bytes == nil {
				return 0, false
			}
			return float64(*b.Bytes), true
		})
}

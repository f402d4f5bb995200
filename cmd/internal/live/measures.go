package live

import (
	"context"
	"errors"
	"sync"
	"time"

	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// Measures are the numbers of all farms for a program that stores them. The status has no findings.
type Measures struct {
	Status
	Persistent map[string]int // remembered clients, by farm; none of farms without persistence
	Bans       map[string]int // banned clients, by farm; none of farms without bans
	FindingsOn int            // findings about the machine that have not ended
	NoBytes    string         // why the bytes of tracked connections are not known; "": they are
}

// restBetweenMeasures is the time between two readings of the kernel, in multiples of the time that a reading takes. To
// read a large connection table takes seconds of a processor, and several programs can ask at any rate.
const restBetweenMeasures = 4

// lastMeasures are the measures that were read last.
type lastMeasures struct {
	mu       sync.Mutex
	measures Measures
	read     time.Time     // end of the reading; zero: none
	took     time.Duration // the reading
}

// Measures returns the numbers of all farms. Requests at the same time have one answer, and a short time later the same
// answer, see restBetweenMeasures. ErrNothingLoaded comes with the measures that need no farm.
func (r *Reader) Measures(ctx context.Context) (Measures, error) {
	return shared(ctx, &r.measuring, "", func() (Measures, error) { return r.measuresNow(context.WithoutCancel(ctx)) })
}

func (r *Reader) measuresNow(ctx context.Context) (Measures, error) {
	r.last.mu.Lock()
	defer r.last.mu.Unlock()
	if !r.last.read.IsZero() && time.Since(r.last.read) < restBetweenMeasures*r.last.took {
		return r.last.measures, nil
	}
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return Measures{}, err
	}
	defer end()
	began := time.Now()
	m, err := r.meter.measure(ctx, s)
	if err == nil {
		r.last.measures, r.last.read, r.last.took = m, time.Now(), time.Since(began)
	}
	return m, err
}

// measure reads the numbers of the farms that were loaded last.
func (e *Engine) measure(ctx context.Context, s *Snapshot) (Measures, error) {
	m, err := e.outline(ctx, s)
	if err != nil {
		return m, err
	}
	farms := s.loaded.script.Farms
	if m.Rules.countersValid() {
		meter := e.byteMeter(m.NoBytes == "")
		err = errors.Join(e.readCounts(ctx, &m.Status, s.loaded.script, ""), e.readHeldBack(ctx, &m.Status, farms),
			m.countConnections(ctx, farms, meter), e.readShares(ctx, &m.Status, farms),
			e.countPersistent(ctx, &m, farms))
		m.countBans(farms)
		if meter != nil && err == nil {
			m.setBytes(meter)
		}
	}
	for i := range m.Farms {
		m.Farms[i].setCondition(m.Rules, nil)
	}
	return m, err
}

// countPersistent counts the remembered clients of each farm.
func (e *Engine) countPersistent(ctx context.Context, m *Measures, farms []*farm.Farm) error {
	for _, f := range farms {
		tables := ruleset.ClientTables(f)
		if len(tables) == 0 {
			continue
		}
		n := 0
		for _, t := range tables {
			if err := e.Nft.MapValues(ctx, string(t.Table), t.Map, func([]byte) { n++ }); err != nil {
				return err
			}
		}
		m.Persistent[f.Name] = n
	}
	return nil
}

// countBans counts the bans of farms that ban.
func (m *Measures) countBans(farms []*farm.Farm) {
	for _, f := range farms {
		if f.Limits.Ban > 0 {
			m.Bans[f.Name] = 0
		}
	}
	for _, f := range m.Farms {
		if _, bans := m.Bans[f.Name]; bans {
			m.Bans[f.Name] = len(f.Banned)
		}
	}
}

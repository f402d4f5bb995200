package overview

import (
	"context"
	"sync"
	"time"

	"farmc/cmd/internal/live"
)

// Limits of the memory of samples: 60 samples of 1,000 farms and 10,000 backends take about 10 MB.
const (
	maxFarms    = 1000
	maxBackends = 10_000
)

// Times of samples. The share of a processor that sampling takes is at most 1/restShare.
const (
	samplePause = 5 * time.Second
	restShare   = 20
	askedFor    = 15 * time.Minute // sampling goes on so long after a question
)

// trends have the last samples of farms: of all, if there are few; else of the farms that were asked for lately.
type trends struct {
	mu       sync.Mutex
	farms    map[string]*farmTrend
	backends int // of farms
	all      ring
	times    []time.Time                 // of the last samples
	last     map[string]*live.FarmStatus // at the last sample
	wanted   []string                    // asked for, without a trend
}

// A farmTrend is the trend of a farm and its backends.
type farmTrend struct {
	ring
	backends map[string]*ring
	asked    time.Time
}

// Run samples numbers until ctx is done, while questions are asked.
func (v *View) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-v.asked:
		}
		for asked := time.Now(); time.Since(asked) < askedFor && ctx.Err() == nil; {
			began := time.Now()
			v.sample(ctx)
			rest := time.NewTimer(max(samplePause, restShare*time.Since(began)))
			select {
			case <-ctx.Done():
			case <-rest.C:
			}
			rest.Stop()
			select {
			case <-v.asked:
				asked = time.Now()
			default:
			}
		}
		v.trends.rest()
	}
}

// sample takes a sample of all farms. Numbers that cannot be read now are read the next time.
func (v *View) sample(ctx context.Context) {
	m, err := v.reader.Measures(ctx)
	if err != nil || len(m.Farms) == 0 {
		return
	}
	v.trends.add(m, time.Now())
}

// add adds a sample.
func (t *trends) add(m live.Measures, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = make(map[string]*live.FarmStatus, len(m.Farms))
	t.times = push(t.times, at, true)
	sum := counts{at: at}
	for i := range m.Farms {
		f := &m.Farms[i]
		t.last[f.Name] = f
		c := countsOf(f, at)
		addTo(&sum.open, c.open)
		addTo(&sum.created, c.created)
		addTo(&sum.denied, c.denied)
	}
	t.all.add(sum)
	t.choose(m.Farms, at)
	for name, of := range t.farms {
		of.add(t.last[name], at)
	}
}

// addTo adds a number that may be unknown to a sum of known numbers.
func addTo[N int | uint64](sum **N, n *N) {
	if n == nil {
		return
	}
	if *sum == nil {
		*sum = new(N)
	}
	**sum += *n
}

// countsOf returns the numbers of a farm.
func countsOf(f *live.FarmStatus, at time.Time) counts {
	c := counts{at: at, open: f.Open, created: f.New}
	for _, packets := range f.HeldBack {
		addTo(&c.denied, &packets)
	}
	return c
}

// choose begins trends of farms that were asked for, and of others while there is room. Trends of farms that are gone
// end, and so do the ones that were not asked for longest if there is no room.
func (t *trends) choose(farms []live.FarmStatus, now time.Time) {
	if t.farms == nil {
		t.farms = map[string]*farmTrend{}
	}
	for name := range t.farms {
		if t.last[name] == nil {
			t.drop(name)
		}
	}
	for _, name := range t.wanted {
		t.begin(t.last[name], now, true)
	}
	t.wanted = nil
	for i := range farms {
		if !t.begin(&farms[i], time.Time{}, false) {
			break
		}
	}
}

// begin begins the trend of a farm, and reports whether there is room for it. By force another trend ends for it.
func (t *trends) begin(f *live.FarmStatus, asked time.Time, force bool) bool {
	if f == nil || t.farms[f.Name] != nil || len(f.Backends) > maxBackends {
		return true
	}
	for len(t.farms) >= maxFarms || t.backends+len(f.Backends) > maxBackends {
		if !force {
			return false
		}
		t.drop(t.oldest())
	}
	t.farms[f.Name] = &farmTrend{backends: map[string]*ring{}, asked: asked}
	t.backends += len(f.Backends)
	return true
}

func (t *trends) drop(name string) {
	if of := t.farms[name]; of != nil {
		t.backends -= len(of.backends)
		delete(t.farms, name)
	}
}

// oldest returns the farm that was not asked for longest.
func (t *trends) oldest() (name string) {
	for other, of := range t.farms {
		if name == "" || of.asked.Before(t.farms[name].asked) {
			name = other
		}
	}
	return name
}

// add adds a sample of the farm and its backends.
func (f *farmTrend) add(s *live.FarmStatus, at time.Time) {
	f.ring.add(countsOf(s, at))
	rings := make(map[string]*ring, len(s.Backends))
	for i := range s.Backends {
		b := &s.Backends[i]
		r := f.backends[b.Name]
		if r == nil {
			r = &ring{}
		}
		r.add(counts{at: at, open: b.Open, created: b.New})
		rings[b.Name] = r
	}
	f.backends = rings
}

// want notes that farms were asked for.
func (t *trends) want(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for _, name := range names {
		if of := t.farms[name]; of != nil {
			of.asked = now
		} else if len(t.wanted) < maxFarms/2 {
			t.wanted = append(t.wanted, name)
		}
	}
}

// rest forgets all samples: the next ones come after a gap.
func (t *trends) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.farms, t.backends, t.all, t.times, t.last, t.wanted = nil, 0, ring{}, nil, nil, nil
}

func (t *trends) sums() Numbers {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.numbers(t.times)
}

// A known has the samples of a farm.
type known struct {
	status   *live.FarmStatus // at the last sample; nil: unknown
	numbers  Numbers
	backends map[string]Numbers
}

// of returns the samples of a farm.
func (t *trends) of(name string) known {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := known{status: t.last[name], numbers: (&ring{}).numbers(nil), backends: map[string]Numbers{}}
	if of := t.farms[name]; of != nil {
		out.numbers = of.numbers(t.times)
		for backend, r := range of.backends {
			out.backends[backend] = r.numbers(t.times)
		}
	}
	if out.status != nil {
		out.numbers.Open = out.status.Open
	}
	return out
}

// backend returns a backend with its numbers.
func (k known) backend(b live.BackendStatus) Backend {
	of, has := k.backends[b.Name]
	if !has {
		of = (&ring{}).numbers(nil)
	}
	b.Open, b.NewPerSecond = of.Open, of.New
	if of := k.count(b.Name); of != nil {
		b.Open, b.New, b.NewSince = of.Open, of.New, of.NewSince
	}
	return Backend{b, of.Trend}
}

// count returns the backend at the last sample.
func (k known) count(name string) *live.BackendStatus {
	if k.status == nil {
		return nil
	}
	for i := range k.status.Backends {
		if k.status.Backends[i].Name == name {
			return &k.status.Backends[i]
		}
	}
	return nil
}

package overview

import (
	"context"
	"sync"
	"time"

	"farmc/cmd/internal/live"
)

// Limits of the memory of courses. Numbers that stay the same take 0.6 kB a farm or backend, others 4 kB at most.
const (
	maxFarms    = 10_000
	maxBackends = 10_000
	maxWanted   = 500 // farms that are asked for between two samples
)

// Times of samples. In the background there is one for each point of the history while it is short. The kernel forgets
// a connection two minutes after its end, so its bytes need a sample a minute.
const (
	samplePause     = 5 * time.Second
	backgroundPause = time.Minute
	askedFor        = time.Minute     // sampling is fast so long after a question
	gapAfter        = 2 * time.Minute // failed samples leave a gap in courses if they lasted longer

	// Shares of a processor: the rest after a sample is so many times as long as the sample took.
	restShare       = 20
	backgroundShare = 100
)

// trends have the courses of farms and backends since the start. If there are more backends than the limit, they have
// the ones of farms that were asked for lately.
type trends struct {
	mu       sync.Mutex
	hour     clock
	start    clock
	farms    map[string]*farmTrend
	backends int // of farms
	all      course
	sampled  time.Time                   // the last sample; zero: there is none
	missed   bool                        // the sample after it failed
	gone     bool                        // it failed because the kernel has other rules: no number is known
	last     map[string]*live.FarmStatus // at the last sample
	wanted   []string                    // farms that were asked for, without courses of their backends
}

func newTrends() *trends {
	return &trends{hour: clock{longest: longestStep}, farms: map[string]*farmTrend{}}
}

// A farmTrend is the trend of a farm and its backends.
type farmTrend struct {
	course
	backends map[string]*course // nil: they have none
	asked    time.Time
}

// Run samples numbers until ctx is done: often while questions are asked, and now and then before.
func (v *View) Run(ctx context.Context) {
	var asked time.Time
	for ctx.Err() == nil {
		began := time.Now()
		v.sample(ctx)
		took := time.Since(began)
		for {
			rest := time.NewTimer(time.Until(began.Add(took + v.trends.pause(took, time.Since(asked) < askedFor))))
			select {
			case <-ctx.Done():
			case <-v.asked:
				asked = time.Now()
				rest.Stop()
				continue
			case <-rest.C:
			}
			rest.Stop()
			break
		}
	}
}

// pause is the time to the next sample, after one that took a time.
func (t *trends) pause(took time.Duration, asked bool) time.Duration {
	if asked {
		return max(samplePause, restShare*took)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(min(max(t.start.step, samplePause), backgroundPause), backgroundShare*took)
}

// sample takes a sample of all farms. Numbers that cannot be read now, as during a load, are read the next time.
func (v *View) sample(ctx context.Context) {
	m, err := v.reader.Measures(ctx)
	gone := err == nil && (m.Rules == live.RulesOther || m.Rules == live.RulesNone)
	if err != nil || gone || len(m.Farms) == 0 {
		v.trends.miss(gone)
		return
	}
	v.trends.add(m, time.Now())
}

func (t *trends) miss(gone bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.missed, t.gone = true, gone
}

// A moment has a sample's place in the two clocks.
type moment struct {
	at          time.Time
	passed      time.Duration // since the last sample
	hour, start tick
	missed      bool // the points since the last sample are unknown
}

// add adds a sample.
func (t *trends) add(m live.Measures, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := moment{at: at, passed: at.Sub(t.sampled), hour: t.hour.take(at), start: t.start.take(at)}
	now.missed = t.missed && now.passed > gapAfter
	t.sampled, t.missed, t.gone = at, false, false
	t.last = make(map[string]*live.FarmStatus, len(m.Farms))
	var sum counts
	for i := range m.Farms {
		f := &m.Farms[i]
		t.last[f.Name] = f
		sum.addAll(countsOf(f))
	}
	t.all.add(sum, now)
	t.choose(m.Farms)
	t.backends = 0
	for name, of := range t.farms {
		of.add(t.last[name], now)
		t.backends += len(of.backends)
	}
}

// choose begins the trends of farms, and of the backends of farms that were asked for, and of others while there is
// room. Trends of farms that are gone end, and so do the ones of backends whose farm was not asked for longest.
func (t *trends) choose(farms []live.FarmStatus) {
	for name := range t.farms {
		if t.last[name] == nil {
			t.dropBackends(name)
			delete(t.farms, name)
		}
	}
	for i := range farms {
		if f := &farms[i]; t.farms[f.Name] == nil && len(t.farms) < maxFarms {
			t.farms[f.Name] = &farmTrend{}
		}
	}
	for _, name := range t.wanted {
		if f := t.last[name]; f != nil {
			t.begin(f, true)
		}
	}
	t.wanted = nil
	for i := range farms {
		if !t.begin(&farms[i], false) {
			break
		}
	}
}

// begin begins the courses of a farm's backends, and reports whether there is room for them. By force the ones of
// another farm end for them.
func (t *trends) begin(f *live.FarmStatus, force bool) bool {
	of := t.farms[f.Name]
	if of == nil || of.backends != nil || len(f.Backends) > maxBackends {
		return true
	}
	for t.backends+len(f.Backends) > maxBackends {
		if !force {
			return false
		}
		t.dropBackends(t.oldest())
	}
	of.backends = map[string]*course{}
	t.backends += len(f.Backends)
	return true
}

func (t *trends) dropBackends(farm string) {
	of := t.farms[farm]
	t.backends -= len(of.backends)
	of.backends = nil
}

// oldest returns the farm with courses of backends that was not asked for longest.
func (t *trends) oldest() (name string) {
	for other, of := range t.farms {
		if of.backends != nil && (name == "" || of.asked.Before(t.farms[name].asked)) {
			name = other
		}
	}
	return name
}

// add adds a sample of the farm and its backends.
func (f *farmTrend) add(s *live.FarmStatus, now moment) {
	f.course.add(countsOf(s), now)
	if f.backends == nil {
		return
	}
	courses := make(map[string]*course, len(s.Backends))
	for i := range s.Backends {
		b := &s.Backends[i]
		c := f.backends[b.Name]
		if c == nil {
			c = &course{}
		}
		c.add(countsOfBackend(b), now)
		courses[b.Name] = c
	}
	f.backends = courses
}

// want notes that farms were asked for.
func (t *trends) want(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for _, name := range names {
		of := t.farms[name]
		if of != nil {
			of.asked = now
		}
		if (of == nil || of.backends == nil) && len(t.wanted) < maxWanted {
			t.wanted = append(t.wanted, name)
		}
	}
}

func (t *trends) sums() Numbers {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.numbers(t)
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
	out := known{status: t.last[name], backends: map[string]Numbers{}}
	of := t.farms[name]
	if of == nil {
		of = &farmTrend{}
	}
	if t.gone {
		out.status = nil
	}
	out.numbers = of.numbers(t)
	for backend, c := range of.backends {
		out.backends[backend] = c.numbers(t)
	}
	return out
}

// backend returns a backend with its numbers.
func (k known) backend(b live.BackendStatus) Backend {
	of, has := k.backends[b.Name]
	if !has {
		of = (&course{}).numbers(&trends{})
	}
	b.Open, b.NewPerSecond = of.Open, of.New
	if of := k.count(b.Name); of != nil {
		b.Open, b.New, b.NewSince = of.Open, of.New, of.NewSince
	}
	return Backend{b, of.Bytes, of.Trend, of.History}
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

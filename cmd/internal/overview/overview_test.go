package overview

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/event"
	"farmc/cmd/internal/live"
)

// A stub is a reader of farms that a test makes.
type stub struct{ farms []live.FarmStatus }

func (s *stub) Current() *live.Snapshot { return nil }

func (s *stub) Outline(context.Context) (live.Outline, error) {
	return live.Outline{Measures: live.Measures{Status: live.Status{Farms: slices.Clone(s.farms)}}}, nil
}

func (s *stub) Measures(context.Context) (live.Measures, error) {
	return live.Measures{Status: live.Status{Farms: slices.Clone(s.farms)}}, nil
}

func ref[T any](v T) *T { return &v }

// mixed are farms in all conditions, in no order.
func mixed() []live.FarmStatus {
	up := live.BackendStatus{Name: "b1", State: "up", Address: []string{"10.0.0.11"}}
	ill := live.BackendStatus{Name: "b2", State: "down", Healthy: ref(false), Address: []string{"10.0.0.12"},
		Health: []live.HealthWord{{By: "probe", Reason: "connection refused"}}}
	drained := live.BackendStatus{Name: "b3", State: "drain", StateFile: "/run/farmc/farms.d/a.toml.d/zz-farmc-b3.toml"}
	return []live.FarmStatus{
		{Name: "fine10", Condition: live.Working, Backends: []live.BackendStatus{up}, BackendsUp: 1},
		{Name: "fine2", Condition: live.Working, Backends: []live.BackendStatus{up}, BackendsUp: 1},
		{Name: "off", Condition: live.Disabled},
		{Name: "ill", Condition: live.Degraded, Backends: []live.BackendStatus{up, ill}, BackendsUp: 1},
		{Name: "drained", Condition: live.Degraded, Backends: []live.BackendStatus{up, drained}, BackendsUp: 1},
		{Name: "none", Condition: live.NoBackend, Backends: []live.BackendStatus{ill}},
		{Name: "panics", Condition: live.Panicking, Panic: "2 of 2 backends are unhealthy",
			Backends: []live.BackendStatus{ill}},
		{Name: "stopped", Condition: live.Stopped, Listen: []string{"192.0.2.7:80/tcp"}},
	}
}

func names(p Page) string {
	var out []string
	for _, f := range p.Farms {
		out = append(out, f.Name)
	}
	return strings.Join(out, " ")
}

func TestProblemsComeFirst(t *testing.T) {
	p, err := New(&stub{mixed()}).Page(t.Context(), Query{Page: 1, Size: 50})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(p); got != "stopped none panics ill drained fine2 fine10 off" {
		t.Errorf("the order is %s", got)
	}
	if p.Groups[Problem] != 4 || p.Groups[Planned] != 1 || p.Groups[Up] != 2 || p.Groups[Down] != 1 {
		t.Errorf("the groups are %v", p.Groups)
	}
	if got := fmt.Sprint(p.Farms[3].Problems); got != "[b2 unhealthy: connection refused]" {
		t.Errorf("the problem of ill is %s", got)
	}
	if got := fmt.Sprint(p.Farms[4].Problems); got != "[b3: drain by a command or a request]" {
		t.Errorf("the problem of drained is %s", got)
	}
}

func TestSearchAndPages(t *testing.T) {
	v := New(&stub{mixed()})
	for rule, c := range map[string]struct {
		q    Query
		want string
		page int
	}{
		"a name":                     {Query{Search: "FINE", Page: 1, Size: 50}, "fine2 fine10", 1},
		"an address of a backend":    {Query{Search: "10.0.0.12", Page: 1, Size: 50}, "none panics ill", 1},
		"an address of the service":  {Query{Search: "192.0.2.7", Page: 1, Size: 50}, "stopped", 1},
		"two words, both needed":     {Query{Search: "b2 degraded", Page: 1, Size: 50}, "ill", 1},
		"a group":                    {Query{Show: Planned, Page: 1, Size: 50}, "drained", 1},
		"the second page":            {Query{Page: 2, Size: 3}, "ill drained fine2", 2},
		"a page behind the last one": {Query{Page: 9, Size: 3}, "fine10 off", 3},
		"nothing":                    {Query{Search: "nothing", Page: 1, Size: 3}, "", 1},
	} {
		p, err := v.Page(t.Context(), c.q)
		if err != nil || names(p) != c.want || p.Page != c.page {
			t.Errorf("%s: %q on page %d, %v", rule, names(p), p.Page, err)
		}
	}
}

// counted returns farms with numbers n times as large as in the first sample.
func counted(farms, backends int, n uint64) live.Measures {
	m := live.Measures{}
	for i := range farms {
		f := live.FarmStatus{Name: fmt.Sprint("f", i), Open: ref(int(n)), New: ref(n * 10), Bytes: ref(n * 1000),
			HeldBack: map[string]uint64{"denied": n, "new": n}}
		for j := range backends {
			b := live.BackendStatus{Name: fmt.Sprint("b", j), Open: ref(int(n)), New: ref(n)}
			f.Backends = append(f.Backends, b)
		}
		m.Farms = append(m.Farms, f)
	}
	return m
}

func TestTrend(t *testing.T) {
	trends := newTrends()
	for i := range 100 {
		trends.add(counted(2, 1, uint64(i)), time.Unix(int64(5*i), 0))
	}
	n := trends.of("f1").numbers
	if n.Open == nil || *n.Open != 99 || n.New == nil || *n.New != 2 || n.Denied == nil || *n.Denied < 0.39 ||
		n.Bytes == nil || *n.Bytes != 200 {
		t.Errorf("the numbers are %+v", n)
	}
	if b := trends.of("f1").backend(live.BackendStatus{Name: "b0"}); len(b.Trend.Open) != 50 || *b.Open != 99 {
		t.Errorf("the backend is %+v", b)
	}
	if all := trends.sums(); *all.New != 4 || *all.Open != 198 {
		t.Errorf("the sums are %+v", all)
	}
}

// The history covers all the time since the start in a bounded number of points; the trend covers the last hour.
func TestHistory(t *testing.T) {
	trends := newTrends()
	start := time.Unix(0, 0)
	for minute := range 3 * 24 * 60 {
		m := counted(1, 0, uint64(minute))
		m.Farms[0].Open = ref(minute)
		trends.add(m, start.Add(time.Duration(minute)*time.Minute))
	}
	n := trends.of("f0").numbers
	if got := n.History; len(got.Open) > maxPoints || len(got.Open) < maxPoints/2 || got.Seconds < 70*3600 ||
		*got.Open[0] > 120 || *got.Open[len(got.Open)-1] < 4200 {
		t.Errorf("%d points of %g s from %g to %g", len(got.Open), got.Step, *got.Open[0], *got.Open[len(got.Open)-1])
	}
	for i, v := range n.History.Open[1 : len(n.History.Open)-1] {
		if more := float64(*v - *n.History.Open[i]); math.Abs(more-n.History.Step/60) > 1 {
			t.Errorf("point %d is %g more than the one before", i+1, more)
		}
	}
	if got := n.Trend; len(got.Open) != maxPoints || got.Step != longestStep.Seconds() || *got.Open[0] < 3*24*60-70 {
		t.Errorf("the trend has %d points of %g s from %g", len(got.Open), got.Step, *got.Open[0])
	}
}

// The courses of a number are the same whether it stayed the same at first or not.
func TestSteadyPoints(t *testing.T) {
	for begin := range 7 {
		for steady := range 200 {
			var c clock
			var s series
			var all []float32
			for i := range 300 {
				at := time.Unix(0, 0).Add(time.Duration(i) * firstStep)
				now := c.take(at)
				switch {
				case i < begin:
					s.take(unknown, now, false)
				case i < begin+steady:
					s.take(3, now, false)
				default:
					s.take(float32(i), now, false)
				}
				if s.len() > maxPoints || s.len() > c.points {
					t.Fatalf("%d points of %d", s.len(), c.points)
				}
			}
			for _, v := range s.list() {
				all = append(all, *v)
			}
			if !slices.IsSorted(all) || steady > 8 && all[0] != 3 || all[len(all)-1] < 296 || len(all) < c.points-2 {
				t.Fatalf("unknown for %d, steady for %d: %v", begin, steady, all)
			}
		}
	}
}

// A number that stays the same takes no memory.
func TestSteadyNumbersAreSmall(t *testing.T) {
	trends := newTrends()
	for i := range 500 {
		trends.add(counted(1, 1, 5), time.Unix(int64(60*i), 0))
	}
	for k, s := range trends.farms["f0"].start {
		if s.values != nil || s.len() < maxPoints/2 {
			t.Errorf("kind %d: %d points, %d in memory", k, s.len(), len(s.values))
		}
	}
}

// A counter that begins anew is a gap, and no rate of billions. So is a time without samples.
func TestGaps(t *testing.T) {
	words := func(list []*float32) (out string) {
		for _, v := range list {
			if v == nil {
				out += "- "
			} else {
				out += fmt.Sprint(*v, " ")
			}
		}
		return out
	}
	trends := newTrends()
	for i, n := range []uint64{10, 20, 5, 15} {
		m := counted(1, 0, 0)
		m.Farms[0].New = &n
		trends.add(m, time.Unix(int64(5*i), 0))
	}
	if got := words(trends.of("f0").numbers.Trend.New); got != "2 - 2 " {
		t.Errorf("after a new counter the rates are %s", got)
	}
	trends.miss(true)
	if n := trends.of("f0"); n.numbers.Open != nil || n.numbers.New != nil || n.status != nil {
		t.Errorf("without rules in the kernel the numbers are %+v", n.numbers)
	}
	trends.add(counted(1, 0, 5), time.Unix(25, 0))
	if got := words(trends.of("f0").numbers.Trend.Open); got != "0 0 0 0 5 5 " {
		t.Errorf("after a missed sample there are %s open connections", got)
	}
	trends.add(counted(1, 0, 7), time.Unix(40, 0))
	if got := words(trends.of("f0").numbers.Trend.Open); got != "0 0 0 0 5 5 7 7 7 " {
		t.Errorf("after a late sample there are %s open connections", got)
	}
	trends.miss(false)
	trends.add(counted(1, 0, 9), time.Unix(170, 0))
	want := "0 0 0 0 5 5 7 7 7 " + strings.Repeat("- ", 25) + "9 "
	if got := words(trends.of("f0").numbers.Trend.Open); got != want {
		t.Errorf("after a long time without samples there are %s open connections", got)
	}
}

// The memory of trends has bounds, and the farms that are asked for have their place in it.
func TestTrendsAreBounded(t *testing.T) {
	trends := newTrends()
	check := func(farms int) {
		t.Helper()
		courses := 0
		for _, f := range trends.farms {
			courses += len(f.backends)
		}
		if len(trends.farms) != farms || courses > maxBackends || courses != trends.backends ||
			len(trends.wanted) > 0 {
			t.Errorf("%d farms, %d backends of %d, wanted %v", len(trends.farms), courses, trends.backends,
				trends.wanted)
		}
	}
	trends.add(counted(1200, 20, 1), time.Unix(1, 0))
	check(1200)
	trends.want([]string{"f1199", "unknown"})
	trends.add(counted(1200, 20, 2), time.Unix(2, 0))
	check(1200)
	trends.add(counted(1200, 20, 3), time.Unix(3, 0))
	if of := trends.of("f1199"); of.numbers.New == nil || of.backends["b19"].New == nil {
		t.Error("the backends of the farm that was asked for have no numbers")
	}
	trends.add(counted(maxFarms+5, 1, 3), time.Unix(4, 0))
	check(maxFarms)
	trends.add(counted(1, 1, 4), time.Unix(5, 0))
	check(1)
}

// Numbers are sampled from the start, and soon again after a question.
func TestSampling(t *testing.T) {
	s := &stub{farms: mixed()}
	s.farms[0].Open = ref(7)
	v := New(s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { v.Run(ctx); close(ended) }()
	for end := time.Now().Add(5 * time.Second); v.trends.of("fine10").status == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is sampled at the start")
		}
	}
	cancel()
	<-ended
	const took = time.Second
	if got := v.trends.pause(time.Millisecond, false); got != samplePause {
		t.Errorf("at first the pause is %s", got)
	}
	v.trends.add(counted(1, 1, 1), time.Now().Add(24*time.Hour))
	if got := v.trends.pause(time.Millisecond, false); got != backgroundPause {
		t.Errorf("in the background the pause is %s after a day", got)
	}
	if got := v.trends.pause(time.Millisecond, true); got != samplePause {
		t.Errorf("after a question the pause is %s", got)
	}
	if asked, not := v.trends.pause(took, true), v.trends.pause(took, false); asked != 20*took || not != 100*took {
		t.Errorf("after samples of a second the pauses are %s and %s", asked, not)
	}
}

func TestChangesFollowEvents(t *testing.T) {
	v, stream := New(&stub{}), event.NewStream(10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { v.Follow(ctx, stream); close(ended) }()
	for len(v.Changes("").Changes) == 0 { // until the reader follows
		stream.Publish(event.Tampering, map[string]any{"message": "rules changed", "by": "nft"})
		time.Sleep(10 * time.Millisecond)
	}
	stream.Publish(event.Health, map[string]any{"backends": []map[string]any{
		{"farm": "web", "backend": "b1", "healthy": false, "by": "probe", "reason": "timeout"}}})
	stream.Publish(event.Backend, map[string]any{"cause": "farmc drain", "backends": []map[string]any{
		{"farm": "web", "backend": "b1", "state": "drain", "stateBefore": "up"},
		{"farm": "mail", "backend": "b1", "state": "up", "stateBefore": "up", "weight": 50, "weightBefore": 100}}})
	stream.Publish(event.Load, map[string]any{"result": "ok", "changes": []string{"web: backend b1 state up → drain"}})
	stream.Publish(event.Load, map[string]any{"result": "failed", "error": "nft refuses"})
	for end := time.Now().Add(5 * time.Second); !strings.HasPrefix(v.Changes("").Changes[0].Words, "load failed"); {
		if time.Now().After(end) {
			t.Fatal(v.Changes(""))
		}
		time.Sleep(10 * time.Millisecond)
	}
	var words []string
	for _, c := range v.Changes("web").Changes {
		words = append(words, c.Words+" by "+c.By)
	}
	if got := strings.Join(words, "; "); got != "state drain, was up by farmc drain; unhealthy: timeout by probe" {
		t.Errorf("the changes of web are %s", got)
	}
	cancel()
	<-ended
}

func TestChangesAreBounded(t *testing.T) {
	var c changes
	for range maxChanges + 100 {
		c.add(Change{Farm: "web"})
	}
	if len(c.all) != maxChanges || len(c.of("")) != maxAnswered {
		t.Errorf("%d changes, %d in an answer", len(c.all), len(c.of("")))
	}
}

// An index that is no longer new answers at once, and its successor comes.
func TestIndexIsRenewed(t *testing.T) {
	s := &stub{mixed()}
	v := New(s)
	if _, err := v.Page(t.Context(), Query{Page: 1, Size: 10}); err != nil {
		t.Fatal(err)
	}
	first := v.known()
	v.Forget()
	if _, err := v.Page(t.Context(), Query{Page: 1, Size: 10}); err != nil || v.known() == first {
		t.Errorf("an index that was forgotten answers, %v", err)
	}
	s.farms = nil
	first = v.known()
	for end := time.Now().Add(5 * time.Second); v.known() == first; time.Sleep(10 * time.Millisecond) {
		p, err := v.Page(t.Context(), Query{Page: 1, Size: 10})
		if err != nil || len(p.Farms) == 0 && v.known() == first {
			t.Fatalf("%d farms, %v", len(p.Farms), err)
		}
		v.mu.Lock()
		aged := *first
		aged.made = time.Now().Add(-2 * indexAge)
		if v.index == first {
			v.index, first = &aged, &aged
		}
		v.mu.Unlock()
		if time.Now().After(end) {
			t.Fatal("the index is not renewed")
		}
	}
}

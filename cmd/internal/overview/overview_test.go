package overview

import (
	"context"
	"fmt"
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
		f := live.FarmStatus{Name: fmt.Sprint("f", i), Open: ref(int(n)), New: ref(n * 10),
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
	var trends trends
	for i := range 100 {
		trends.add(counted(2, 1, uint64(i)), time.Unix(int64(5*i), 0))
	}
	n := trends.of("f1").numbers
	if n.Open == nil || *n.Open != 99 || n.New == nil || *n.New != 2 || n.Denied == nil || *n.Denied < 0.39 {
		t.Errorf("the numbers are %+v", n)
	}
	if len(n.Trend.New) != ringLength || n.Trend.Seconds != 5*(ringLength-1) || n.Trend.Open[0] != 40 {
		t.Errorf("the trend is %+v", n.Trend)
	}
	if b := trends.of("f1").backend(live.BackendStatus{Name: "b0"}); len(b.Trend.Open) != ringLength || *b.Open != 99 {
		t.Errorf("the backend is %+v", b)
	}
	if all := trends.sums(); *all.New != 4 || *all.Open != 198 {
		t.Errorf("the sums are %+v", all)
	}
}

// A counter that begins anew is a gap, and no rate of billions.
func TestTrendOfNewCounter(t *testing.T) {
	var r ring
	for i, n := range []uint64{10, 20, 5, 15} {
		r.add(counts{at: time.Unix(int64(i), 0), created: &n})
	}
	if got := fmt.Sprint(r.created); got != "[10]" {
		t.Errorf("the rates are %s", got)
	}
}

// The memory of trends has bounds, and the farms that are asked for have their place in it.
func TestTrendsAreBounded(t *testing.T) {
	var trends trends
	trends.add(counted(1200, 20, 1), time.Unix(1, 0))
	if len(trends.farms) > maxFarms || trends.backends > maxBackends {
		t.Errorf("%d farms, %d backends", len(trends.farms), trends.backends)
	}
	trends.want([]string{"f1199", "unknown"})
	trends.add(counted(1200, 20, 2), time.Unix(2, 0))
	trends.add(counted(1200, 20, 3), time.Unix(3, 0))
	if trends.of("f1199").numbers.New == nil {
		t.Error("the farm that was asked for has no numbers")
	}
	if len(trends.farms) > maxFarms || trends.backends > maxBackends || len(trends.wanted) > 0 {
		t.Errorf("%d farms, %d backends, wanted %v", len(trends.farms), trends.backends, trends.wanted)
	}
	trends.add(counted(1, 1, 4), time.Unix(4, 0))
	if len(trends.farms) != 1 {
		t.Errorf("%d farms are remembered after their end", len(trends.farms))
	}
}

// Numbers are sampled after a question alone.
func TestSamplingNeedsAQuestion(t *testing.T) {
	s := &stub{mixed()}
	s.farms[0].Open = ref(7)
	v := New(s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { v.Run(ctx); close(ended) }()
	time.Sleep(50 * time.Millisecond)
	if v.trends.of("fine10").status != nil {
		t.Error("numbers were sampled without a question")
	}
	if _, err := v.Page(ctx, Query{Page: 1, Size: 10}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); v.trends.of("fine10").status == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is sampled after a question")
		}
	}
	cancel()
	<-ended
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

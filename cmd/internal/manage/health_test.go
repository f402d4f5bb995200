package manage

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/farm"
)

// A load is refused if a backend serves more than its verdict says.
func TestObeys(t *testing.T) {
	down, drained := health.Verdict{Down: true}, health.Verdict{}
	half := health.Verdict{Healthy: true, Percent: 50, Base: 100}
	whole := health.NewRecord().Verdict
	for _, tt := range []struct {
		state   farm.State
		percent int
		verdict health.Verdict
		off     bool
		want    bool
	}{
		{farm.Down, 0, down, false, true},
		{farm.Drain, 0, down, false, false},
		{farm.Up, 0, down, false, false},
		{farm.Drain, 0, drained, false, true},
		{farm.Down, 0, drained, false, true},
		{farm.Up, 50, drained, false, false},
		{farm.Up, 50, half, false, true},
		{farm.Up, 60, half, false, false},
		{farm.Up, 0, half, false, false}, // all of its weight
		{farm.Drain, 0, half, true, true},
		{farm.Up, 0, health.Verdict{Percent: 100, Base: 100, Panic: true}, false, true},
		{farm.Up, 30, whole, false, true},
	} {
		if got := obeys(farm.Backend{State: tt.state, Percent: tt.percent}, tt.verdict, tt.off); got != tt.want {
			t.Errorf("state %s, %d percent, verdict %+v, off %t: %t", tt.state, tt.percent, tt.verdict, tt.off, got)
		}
	}
}

// A pause of the process counts for no word, and delays no judgement beyond it.
func TestPauseOfTheProcess(t *testing.T) {
	now := time.Now()
	before := []health.Word{{By: "a", For: time.Minute, Said: now}}
	m := &memory{farms: map[string]*farmHealth{"web": {next: now.Add(time.Minute),
		records: records{"b1": {Words: before}}}}}
	m.excuse(time.Hour)
	f := m.farms["web"]
	if said := f.records.of("b1").Words[0].Said; !said.Equal(now.Add(time.Hour)) {
		t.Errorf("the word was said %s after it was", said.Sub(now))
	}
	if !before[0].Said.Equal(now) {
		t.Error("words that a reader has are changed")
	}
	if !f.next.Equal(now.Add(time.Hour + time.Minute)) {
		t.Errorf("the next judgement is in %s", f.next.Sub(now))
	}
}

// Verdicts that could not be loaded are tried again after a pause. The words of a client are its own to repeat.
func TestJudgementIsTriedAgain(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		sayings []Saying
		writing int
		want    time.Time
	}{
		"time": {nil, 1, now.Add(retryPause)},
		"word": {[]Saying{{}, {}}, 2, now},
	} {
		f := &farmHealth{writing: tt.writing + 1, next: now}
		words := &farmWords{memory: &memory{farms: map[string]*farmHealth{"web": f}}, farm: "web", now: now,
			sayings: tt.sayings}
		if words.end(false); !f.next.Equal(tt.want) || f.writing != 1 {
			t.Errorf("%s: the next judgement is in %s, %d writes are on their way", name, f.next.Sub(now), f.writing)
		}
	}
}

// wordsAbout returns the health of a farm of so many backends, and a word about each of them.
func wordsAbout(backends int) (*farmHealth, []numbered) {
	text := "listen = \"192.0.2.10:80\"\nhealth = { type = \"tcp\", panic = \"30%\" }\n"
	var words []numbered
	for i := range backends {
		text += fmt.Sprintf("backends.b%d.address = \"10.0.%d.%d\"\n", i, i>>8, i&255)
		words = append(words, numbered{Saying{Backend: Backend{"web", fmt.Sprint("b", i)},
			Word: health.Word{By: "c", Healthy: true, Percent: 100}}, i})
	}
	f := farm.ReadText("web", []byte(text), nil).Farm()
	return &farmHealth{name: "web", records: records{}, gone: map[string]bool{}, rules: newRules(f, nil)}, words
}

// The words of a request about the backends of a farm are judged together: eight times the words take about eight times
// the memory, also if all are repeated.
func TestManyWordsTakeLinearTime(t *testing.T) {
	bytes := func(backends int) float64 {
		f, words := wordsAbout(backends)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 2 {
			if rest := f.take(words, time.Now(), false); len(rest) > 0 || len(f.records) != backends {
				t.Fatalf("%d words are left, and %d backends have one", len(rest), len(f.records))
			}
		}
		runtime.ReadMemStats(&after)
		return float64(after.TotalAlloc - before.TotalAlloc)
	}
	few, many := bytes(256), bytes(2048)
	t.Logf("256 words take %.0f bytes, 2048 words %.0f", few, many)
	if many > 16*few {
		t.Errorf("2048 words take %.0f times the memory of 256", many/few)
	}
}

// Words that change drop-ins are left for a load. The others in the same request count at once.
func TestWordsThatChangeNothing(t *testing.T) {
	f, words := wordsAbout(5)
	words[1].Healthy, words[3].Percent = false, 50
	var left []string
	for _, n := range f.take(words, time.Now(), false) {
		left = append(left, n.Name)
	}
	if got := fmt.Sprint(left, len(f.records["b0"].Words), len(f.records["b1"].Words)); got != "[b1 b3] 1 0" {
		t.Errorf("the words that are left, and the words of b0 and of b1: %s", got)
	}
	if f.take(words[:1], time.Now(), true); len(f.records) != 3 {
		t.Errorf("a dry run keeps words: %v", f.records)
	}
	for by := range maxCheckers + 1 {
		words[2].By = fmt.Sprint(by)
		if rest := f.take(words[2:3], time.Now(), false); (len(rest) > 0) != (by >= maxCheckers-1) {
			t.Errorf("checker %d: %d words are left", by, len(rest))
		}
	}
}

// healthOf returns the health of the farms of a site.
func (s *site) healthOf() *Health {
	s.Helper()
	reader := live.NewReader(s.engine)
	p, diagnostics, err := s.engine.Plan(s.Context())
	s.engine.Publish(reader, p, diagnostics, err)
	return NewHealth(reader.Current, func(ctx context.Context, _ string, writes []live.Write) []live.WriteResult {
		return s.engine.WriteAll(ctx, writes)
	})
}

// say says words about backends of farm web, and returns their outcomes. A word was said before now by the age.
func (s *site) say(h *Health, age time.Duration, words ...health.Word) []Outcome {
	var sayings []Saying
	for i, w := range words {
		w.Percent, w.Said = 100, time.Now().Add(-age)
		sayings = append(sayings, Saying{Backend: Backend{"web", fmt.Sprint("b", i+1)}, Word: w})
	}
	return h.Say(s.Context(), "test", sayings)
}

// A new checker takes the place of one that is silent, and has none while all others speak. A word that is refused
// keeps no other one from its effect.
func TestWordOfOneCheckerMore(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web})
	h := s.healthOf()
	for by := range maxCheckers {
		age := time.Duration(0)
		if by < 2 {
			age = time.Duration(10-by) * time.Minute // the checker 0 is the oldest
		}
		word := health.Word{By: fmt.Sprint("old", by), Healthy: true, For: 5 * time.Minute}
		if o := s.say(h, age, word); o[0].Err != nil {
			t.Fatal(o[0].Err)
		}
	}
	for i := range 3 {
		by := fmt.Sprint("new", i)
		out := s.say(h, 0, health.Word{By: by}, health.Word{By: by, Healthy: i == 1})
		if refused := errors.Is(out[0].Err, ErrCheckers); refused != (i == 2) || out[1].Err != nil {
			t.Errorf("checker %s: %v, %v", by, out[0].Err, out[1].Err)
		}
		record, err := h.Words(Backend{"web", "b1"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		gone := slices.IndexFunc(record.Words, func(w health.Word) bool { return w.By == fmt.Sprint("old", i) })
		if (gone < 0) != (i < 2) {
			t.Errorf("after a word of %s the words are %+v", by, record.Words)
		}
	}
	if !strings.Contains(s.text("run/web.toml.d/zz-farmc.health-b2.toml"), `state = "down"`) {
		t.Errorf("backend b2 is not down: %v", s.files())
	}
}

// The drop-in of an address that left DNS goes soon, also if a word is the first to meet the new addresses.
func TestWordBeforeDropInsGo(t *testing.T) {
	f, words := wordsAbout(2)
	f.gone["zz-farmc.health.toml"] = true
	now := time.Now()
	if rest := f.take(words, now, false); len(rest) > 0 || !f.next.Equal(now) {
		t.Errorf("%d words are left, the next judgement is at %s, want %s", len(rest), f.next, now)
	}
	delete(f.gone, "zz-farmc.health.toml")
	if f.take(words, now, false); !f.next.IsZero() {
		t.Errorf("nothing has to go, but the next judgement is at %s", f.next)
	}
}

// A word that gets no turn is not kept, and its error says that farmc is busy. Judgements wait for any time.
func TestWordWithoutTurn(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web})
	h := s.healthOf()
	q := live.NewQueue(s.engine, func([]live.WriteResult) {})
	bounds := []time.Duration{}
	h.Write = func(ctx context.Context, _ string, writes []live.Write) []live.WriteResult {
		for _, w := range writes {
			bounds = append(bounds, w.Patience)
		}
		return q.WriteAll(ctx, writes)
	}
	unlock, err := (statedir.Store{Dir: s.engine.Store.Dir}).Lock(t.Context(), func() {}) // as a slow load does
	if err != nil {
		t.Fatal(err)
	}
	if o := s.say(h.WithPatience(50*time.Millisecond), 0, health.Word{By: "a"}); !errors.Is(o[0].Err, live.ErrBusy) {
		t.Errorf("the word: %v", o[0].Err)
	}
	unlock()
	if o := s.say(h, 0, health.Word{By: "a"}); o[0].Err != nil {
		t.Errorf("the word after the load: %v", o[0].Err)
	}
	judgement := newBatch(h, time.Now())
	judgement.addFarm("web")
	judgement.load(t.Context(), "health", nil)
	if want := []time.Duration{50 * time.Millisecond, live.MaxQueued, 0}; !slices.Equal(bounds, want) {
		t.Errorf("the writes wait for %v, want %v", bounds, want)
	}
}

// The error of words about a farm that no load has is not one of farmc itself.
func TestWordAboutAFarmThatIsNotLoaded(t *testing.T) {
	if err := (&farmWords{farm: "web"}).check(nil); !errors.Is(err, live.ErrNotLoaded) {
		t.Errorf("got %v", err)
	}
}

package health

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"farmc/compiler/toml"
)

var now = time.Date(2026, 11, 28, 22, 0, 0, 0, time.UTC)

// word returns a word that was said some seconds ago, and lapses after some seconds.
func word(by string, healthy bool, percent, ago, lasting int) Word {
	return Word{By: by, Healthy: healthy, Percent: percent, Said: now.Add(-time.Duration(ago) * time.Second),
		For: time.Duration(lasting) * time.Second}
}

func TestVerdict(t *testing.T) {
	serves := func(percent int) Verdict { return Verdict{Healthy: true, Percent: percent} }
	down := Verdict{Down: true}
	bad, good := word("a", false, 100, 0, 0), word("b", true, 100, 0, 0)
	lapsedBad, freshGood := word("a", false, 100, 60, 30), word("b", true, 100, 0, 30)
	two, forget := Rules{Agree: 2}, Rules{Agree: 1, Forget: true}
	tests := []struct {
		rule  string
		rules Rules
		words []Word
		want  Verdict
	}{
		{"no word changes nothing", Rules{}, nil, neutral},
		{"one unhealthy word is enough", Rules{}, []Word{good, bad}, down},
		{"an unhealthy backend can drain", Rules{Drain: true}, []Word{bad}, Verdict{}},
		{"the smallest weight counts", Rules{}, []Word{word("a", true, 70, 0, 0), word("b", true, 30, 0, 0)},
			serves(30)},
		{"the weight of an unhealthy word does not count", Rules{}, []Word{word("a", false, 10, 0, 0)}, down},
		{"a word without a time never lapses", forget, []Word{word("a", false, 100, 1e6, 0)}, down},
		{"a lapsed word counts while all are silent", Rules{}, []Word{lapsedBad}, down},
		{"a lapsed word counts no more beside a fresh one", Rules{}, []Word{lapsedBad, freshGood}, neutral},
		{"nor does its weight", Rules{}, []Word{word("a", true, 0, 60, 30), word("b", true, 50, 0, 30)}, serves(50)},
		{"a word lapses exactly at its end", Rules{}, []Word{word("a", false, 100, 30, 30), good}, neutral},
		{"a word counts until its end", Rules{}, []Word{word("a", false, 100, 29, 30), good}, down},
		{"on-silence up forgets a lapsed word", forget, []Word{lapsedBad}, neutral},
		{"on-silence up keeps a fresh word", forget, []Word{word("a", false, 100, 29, 30)}, down},
		{"one of two checkers is not enough", two, []Word{bad, good}, neutral},
		{"one checker alone is not enough", two, []Word{bad}, neutral},
		{"two agree", two, []Word{bad, word("b", false, 100, 0, 0), word("c", true, 100, 0, 0)}, down},
		{"two agree on a weight, at least", two, []Word{bad, word("b", true, 40, 0, 0)}, serves(40)},
		{"the silence of one of two changes nothing", two, []Word{lapsedBad, word("b", false, 100, 0, 30)}, down},
		{"two fresh words replace a lapsed one", two, []Word{lapsedBad, word("b", false, 100, 0, 30),
			word("c", true, 100, 0, 30)}, neutral},
	}
	for _, tt := range tests {
		if got := tt.rules.verdict(tt.words, now); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.rule, got, tt.want)
		}
	}
}

// farm returns members b0, b1 and so on; the first ones are unhealthy.
func farm(unhealthy, healthy int) map[string]Member {
	out := map[string]Member{}
	for i := range unhealthy + healthy {
		r := NewRecord()
		r.Words = []Word{word("a", i >= unhealthy, 100, 0, 0)}
		out[fmt.Sprintf("b%d", i)] = Member{Record: r, Base: 100}
	}
	return out
}

func TestPanic(t *testing.T) {
	for _, test := range []struct {
		rule               string
		unhealthy, healthy int
		share              int
		want               bool
	}{
		{"no share", 10, 0, 0, false},
		{"exactly the share", 7, 3, 30, false},
		{"fewer than the share", 8, 2, 30, true},
		{"all", 2, 0, 1, true},
		{"one of three", 2, 1, 34, true},
		{"one of three is a third", 2, 1, 33, false},
	} {
		for name, r := range Judge(farm(test.unhealthy, test.healthy), test.share, now) {
			isUnhealthy := !r.Words[0].Healthy
			if r.Verdict.Panic != (test.want && isUnhealthy) || r.Verdict.IsOut() != (isUnhealthy && !test.want) {
				t.Errorf("%s: %s has %+v", test.rule, name, r.Verdict)
			}
		}
	}
}

// TestPanicCountsNoBackendThatIsOut: backends that files take out do not count. No word takes them out as well, so a
// drain keeps its connections.
func TestPanicCountsNoBackendThatIsOut(t *testing.T) {
	members := farm(3, 1)
	for _, name := range []string{"b0", "b1"} {
		m := members[name]
		m.Off = true
		members[name] = m
	}
	if got := Judge(members, 50, now); got["b2"].Verdict.Panic || !got["b2"].Verdict.Down {
		t.Errorf("one of two is half of them: %+v", got["b2"].Verdict)
	}
	if got := Judge(members, 51, now); !got["b2"].Verdict.Panic || got["b0"].Verdict.IsOut() {
		t.Errorf("%+v and %+v", got["b2"].Verdict, got["b0"].Verdict)
	}
}

// TestNoSlowStartAfterPanic: a backend that served during the panic goes on with its weight.
func TestNoSlowStartAfterPanic(t *testing.T) {
	members := farm(2, 0)
	judge := func(at time.Time) {
		for name, r := range Judge(members, 50, at) {
			members[name] = Member{Record: r, Rules: Rules{SlowStart: time.Minute}}
		}
	}
	judge(now)
	for name, m := range members {
		if !m.Verdict.Panic {
			t.Fatalf("%s: %+v", name, m.Verdict)
		}
		m.Words = []Word{word("a", true, 100, 0, 0)}
		members[name] = m
	}
	judge(now.Add(time.Second))
	if b := members["b0"]; !b.Verdict.IsNeutral() || !b.Rising.IsZero() || !b.Since.Equal(now.Add(time.Second)) {
		t.Errorf("%+v", b.Record)
	}
}

// TestPanicEndsASlowStart: a healthy backend takes no less than the unhealthy ones beside it.
func TestPanicEndsASlowStart(t *testing.T) {
	members := farm(2, 1)
	b := members["b2"]
	b.Rising, b.Rules = now.Add(-time.Second), Rules{SlowStart: time.Minute}
	members["b2"] = b
	if got := Judge(members, 30, now)["b2"].Verdict.Percent; got != 10 {
		t.Fatalf("without a panic it has %d %%", got)
	}
	if got := Judge(members, 50, now)["b2"]; !got.Verdict.IsNeutral() || !got.Rising.IsZero() {
		t.Errorf("%+v", got)
	}
}

// TestSlowStart follows a recovery second by second.
func TestSlowStart(t *testing.T) {
	rules := Rules{SlowStart: 10 * time.Second}
	m := Member{Record: NewRecord(), Rules: rules}
	m.Words = []Word{word("a", false, 100, 0, 0)}
	m.Record = Judge(map[string]Member{"b": m}, 0, now)["b"]
	m.Words = []Word{word("a", true, 100, 0, 0)}
	var got []int
	steps := 0
	for at := now; at.Before(now.Add(11 * time.Second)); {
		m.Record = Judge(map[string]Member{"b": m}, 0, at)["b"]
		got = append(got, m.Verdict.Percent)
		if at = Next(map[string]Member{"b": m}, at); at.IsZero() {
			break
		}
		steps++
	}
	want := []int{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}
	if !reflect.DeepEqual(got, want) || steps != 9 || !m.Verdict.IsNeutral() || !m.Rising.IsZero() {
		t.Errorf("got %d in %d steps: %+v", got, steps, m.Record)
	}
}

func TestSlowStartRules(t *testing.T) {
	out := NewRecord()
	out.Verdict = Verdict{Down: true}
	rising := out
	rising.Verdict, rising.Rising = Verdict{Healthy: true, Percent: 50}, now.Add(-5*time.Second)
	ahead := rising
	ahead.Rising = now.Add(time.Hour)
	good, half, bad := word("a", true, 100, 0, 0), word("a", true, 50, 0, 0), word("a", false, 100, 0, 0)
	for _, test := range []struct {
		rule   string
		before Record
		word   Word
		slow   time.Duration
		want   int
	}{
		{"a new backend serves at once", NewRecord(), good, 10 * time.Second, 100},
		{"a recovered one begins with a tenth", out, good, 10 * time.Second, 10},
		{"without slow-start at once", out, good, 0, 100},
		{"a second has one step", out, good, time.Second, 50},
		{"the weight of the word counts as well", out, half, 10 * time.Second, 5},
		{"it goes on", rising, good, 10 * time.Second, 50},
		{"an unhealthy word ends it", rising, bad, 10 * time.Second, 0},
		{"a file that ends slow-start ends it", rising, good, 0, 100},
		{"a clock that went back begins anew", ahead, good, 10 * time.Second, 10},
	} {
		r := test.before
		r.Words = []Word{test.word}
		if got := r.judge(Rules{SlowStart: test.slow}, now); got.Verdict.Percent != test.want {
			t.Errorf("%s: %+v", test.rule, got)
		}
	}
}

func TestNext(t *testing.T) {
	m := farm(2, 1)
	if got := Next(m, now); !got.IsZero() {
		t.Errorf("words without an end have one at %s", got)
	}
	r := m["b1"]
	r.Words = []Word{word("a", false, 100, 40, 30), word("b", false, 100, 10, 30), word("c", true, 100, 0, 30)}
	m["b1"] = r
	if got := Next(m, now); !got.Equal(now.Add(20 * time.Second)) {
		t.Errorf("got %s", got)
	}
}

// TestPauseLetsNoWordLapse: a process that was stopped has not heard its checkers.
func TestPauseLetsNoWordLapse(t *testing.T) {
	r := Record{Words: []Word{word("a", false, 100, 10, 30)}}
	rules, later := Rules{Forget: true}, now.Add(time.Hour)
	if v := rules.verdict(r.Words, later); !v.IsNeutral() {
		t.Fatal(v)
	}
	if v := rules.verdict(r.Excused(time.Hour).Words, later); !v.Down {
		t.Errorf("after a pause of an hour: %+v", v)
	}
}

func TestTextKeepsTheRecord(t *testing.T) {
	words := []Word{word("probe-1", false, 100, 0, 30), word("probe-2", true, 55, 0, 0)}
	words[0].Took, words[0].Next = 12*time.Millisecond, 2*time.Second
	words[0].Reason = "\"]\n[backends.b2]\nstate = 'down'\n# word {\"by\":\"x\"}\x7f\u2028"
	for _, v := range []Verdict{
		{Down: true}, {Base: 100}, {Healthy: true, Percent: 55, Base: 100}, {Percent: 100, Panic: true, Base: 100},
		{Percent: 100, Panic: true}, {Percent: 100, Panic: true, Base: 50}, {Healthy: true, Percent: 10, Base: 50},
	} {
		r := Record{Words: words, Verdict: v, Since: now, Rising: now.Add(-time.Second)}
		if got := Parse(r.Text("b1")); !reflect.DeepEqual(got, r) {
			t.Errorf("got %+v, want %+v", got, r)
		}
	}
	words[0].Reason = "503, expected \"200\" # or \\ 'ok'"
	if text := (Record{Words: words}).Text("b1"); !toml.OnlyStates(text) {
		t.Errorf("%q sets more than a state", text)
	}
}

// TestNextCheck: a word is repeated less often than the backend is checked.
func TestNextCheck(t *testing.T) {
	w := word("a", true, 100, 0, 30)
	for _, test := range []struct{ next, passed, want time.Duration }{
		{0, 0, 0}, {2 * time.Second, 0, 2 * time.Second}, {2 * time.Second, 7 * time.Second, 8 * time.Second},
		{2 * time.Second, 30 * time.Second, 0}, {2 * time.Second, -time.Second, 2 * time.Second},
	} {
		w.Next = test.next
		got := w.NextCheck(w.Said.Add(test.passed))
		if test.want == 0 != got.IsZero() || test.want > 0 && !got.Equal(w.Said.Add(test.want)) {
			t.Errorf("%s after a word, each %s: %s", test.passed, test.next, got)
		}
	}
}

// TestStoredWords: healthy words are in a drop-in, which sets nothing, if the rules ask for that.
func TestStoredWords(t *testing.T) {
	for _, store := range []bool{true, false} {
		r := NewRecord()
		r.Words = []Word{word("a", true, 100, 0, 30)}
		judged := Judge(map[string]Member{"b1": {Record: r, Rules: Rules{Store: store}}}, 0, now)["b1"]
		if judged.HasDropIn() != store || judged.SameVerdict(r) == store || judged.SameEffect(r) == store {
			t.Errorf("store = %t: %+v", store, judged)
		}
		if again := judged; !again.SameEffect(judged) {
			t.Error("a word that is repeated has a new drop-in")
		}
	}
	r := Record{Words: []Word{word("a", true, 100, 0, 30)}, Verdict: neutral, Stored: true, Since: now}
	if got := Parse(r.Text("b1")); !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v, want %+v", got, r)
	}
	if text := string(r.Text("b1")); strings.Contains(text, "\n[") || !toml.OnlyStates([]byte(text)) {
		t.Errorf("%q sets something", text)
	}
	r.Words = nil
	member := Member{Record: r, Rules: Rules{Store: true}}
	if judged := Judge(map[string]Member{"b1": member}, 0, now)["b1"]; judged.HasDropIn() {
		t.Error("a backend without words has a drop-in")
	}
}

// TestSameEffect: a word with another verdict or checker changes a drop-in, and another reason or time does not.
func TestSameEffect(t *testing.T) {
	of := func(words ...Word) Record { return Record{Words: words, Verdict: Verdict{Down: true}} }
	bad, good := word("a", false, 100, 0, 30), word("b", true, 100, 0, 30)
	repeated := bad
	repeated.Reason, repeated.Said, repeated.Percent = "refused", now.Add(time.Second), 0
	for name, tt := range map[string]struct {
		a, b Record
		want bool
	}{
		"repeated":                {of(bad, good), of(repeated, good), true},
		"other weight":            {of(bad, good), of(bad, word("b", true, 50, 0, 30)), false},
		"other verdict":           {of(bad, good), of(bad, word("b", false, 100, 0, 30)), false},
		"other checker":           {of(bad), of(word("c", false, 100, 0, 30)), false},
		"one word more":           {of(bad), of(bad, good), false},
		"no drop-in has the word": {NewRecord(), Record{Verdict: neutral, Words: []Word{good}}, true},
	} {
		if got := tt.a.SameEffect(tt.b); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestResumed: after a start of the process no word has lapsed, however long ago it was said.
func TestResumed(t *testing.T) {
	r := Record{Words: []Word{word("a", false, 100, 3600, 30), word("b", true, 100, 1, 0)}}
	for _, w := range r.Resumed(now).Words {
		if w.Lapsed(now) || !w.Said.Equal(now) {
			t.Errorf("the word of %s was said %s", w.By, w.Said)
		}
	}
	for rising, want := range map[time.Duration]time.Duration{-time.Minute: -time.Minute, time.Hour: 0} {
		r.Rising = now.Add(rising)
		if got := r.Resumed(now).Rising.Sub(now); got != want {
			t.Errorf("a slow start that began at %s began at %s after it", rising, got)
		}
	}
}

// TestTextKeepsTheWeightOfOtherFiles: the drop-in replaces the weight of other files, so it has both.
func TestTextKeepsTheWeightOfOtherFiles(t *testing.T) {
	for _, test := range []struct{ verdict, base, want int }{
		{100, 50, 100}, {60, 50, 30}, {10, 50, 5}, {1, 1, 1}, {0, 50, 0}, {50, 0, 0},
	} {
		r := NewRecord()
		r.Verdict.Percent = test.verdict
		r.Words = []Word{word("a", true, test.verdict, 0, 0)}
		judged := Judge(map[string]Member{"b1": {Record: r, Base: test.base}}, 0, now)["b1"]
		got := judged.Verdict.Weight()
		if test.verdict == 100 {
			got = 100 // the drop-in goes
		}
		if got != test.want {
			t.Errorf("%d %% of %d %%: got %d", test.verdict, test.base, got)
		}
	}
}

func TestParseSkipsOtherLines(t *testing.T) {
	for _, text := range []string{
		"", "# word", "# word {", "# word []\n", "# word {\"by\": \"\"}\n", "state = 1\n", "# health 1",
	} {
		if got := Parse([]byte(text)); len(got.Words) > 0 || !got.Verdict.IsNeutral() {
			t.Errorf("%q has %+v", text, got)
		}
	}
}

// TestParseOfAnOlderFarmc: its drop-ins have words and a state alone.
func TestParseOfAnOlderFarmc(t *testing.T) {
	got := Parse([]byte("# word {\"by\":\"a\",\"healthy\":false,\"weight\":100}\n[backends.b1]\nstate = \"down\"\n"))
	if !got.Verdict.Down || got.Verdict.Healthy || len(got.Words) != 1 {
		t.Errorf("%+v", got)
	}
}

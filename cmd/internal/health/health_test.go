package health

import (
	"reflect"
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

func TestJudge(t *testing.T) {
	tests := []struct {
		rule  string
		words []Word
		want  Verdict
	}{
		{"no word changes nothing", nil, Verdict{false, 100}},
		{"one unhealthy word is enough", []Word{word("a", true, 100, 0, 0), word("b", false, 100, 0, 0)},
			Verdict{true, 100}},
		{"the smallest weight counts", []Word{word("a", true, 70, 0, 0), word("b", true, 30, 0, 0)},
			Verdict{false, 30}},
		{"the weight of an unhealthy word does not count", []Word{word("a", false, 10, 0, 0)}, Verdict{true, 100}},
		{"a word without a time never lapses", []Word{word("a", false, 100, 1e6, 0)}, Verdict{true, 100}},
		{"a lapsed word counts while all are silent", []Word{word("a", false, 100, 60, 30)}, Verdict{true, 100}},
		{"a lapsed word counts no more beside a fresh one", []Word{word("a", false, 100, 60, 30),
			word("b", true, 100, 0, 30)}, Verdict{false, 100}},
		{"nor does its weight", []Word{word("a", true, 0, 60, 30), word("b", true, 50, 0, 30)}, Verdict{false, 50}},
		{"a word lapses exactly at its end", []Word{word("a", false, 100, 30, 30), word("b", true, 100, 0, 0)},
			Verdict{false, 100}},
	}
	for _, tt := range tests {
		if got := Judge(tt.words, now); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.rule, got, tt.want)
		}
	}
}

func TestTextKeepsWords(t *testing.T) {
	words := []Word{word("probe-1", false, 100, 0, 30), word("probe-2", true, 55, 0, 0)}
	words[0].Reason = "\"]\n[backends.b2]\nstate = 'down'\n# word {\"by\":\"x\"}\x7f\u2028"
	text := Judge(words, now).Text("b1", words)
	if got := Parse(text); !reflect.DeepEqual(got, words) {
		t.Errorf("%q has the words %+v, want %+v", text, got, words)
	}
	words[0].Reason = "503, expected \"200\" # or \\ 'ok'"
	if text := Judge(words, now).Text("b1", words); !toml.OnlyStates(text) {
		t.Errorf("%q sets more than a state", text)
	}
}

func TestParseSkipsOtherLines(t *testing.T) {
	for _, text := range []string{"", "# word", "# word {", "# word []\n", "# word {\"by\": \"\"}\n", "state = 1\n"} {
		if got := Parse([]byte(text)); len(got) > 0 {
			t.Errorf("%q has the words %+v", text, got)
		}
	}
}

package farm

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
)

// A hostname is as RFC 1123 has it. Text that could be a statement, or a misspelt address, is none.
func TestParseHost(t *testing.T) {
	for word, want := range map[string]string{
		"app.internal": "app.internal", "App.Internal.": "app.internal", "db": "db", "3com.example": "3com.example",
		"xn--bcher-kva.example": "xn--bcher-kva.example",
		"":                      "", ".": "", "a..b": "", "-a.b": "", "a-.b": "", "a_b.c": "", "10.0.0.300": "",
		"10.0.0.l1": "",
		"10.0.0":    "", "a b": "", "a;b": "", "a\nb": "", "a\"b": "", "é.example": "",
		strings.Repeat("a", 64) + ".b": "", strings.Repeat("ab.", 84) + "de": "",
	} {
		if got, ok := parseHost(word); ok && got != want || ok != (want != "") {
			t.Errorf("%q gives %q, %v, not %q", word, got, ok, want)
		}
	}
}

// readWithAnswers reads one farm with answers.
func readWithAnswers(c *Cache, answers string) (*Farm, diag.Diagnostics) {
	text := "listen = \"192.0.2.10:80\"\n[backends.app]\naddress = \"app.internal\"\n"
	var faults diag.Diagnostics
	farms := c.Read([]Dir{
		{FS: fstest.MapFS{"web.toml": {Data: []byte(text)}, "mail.toml": {Data: []byte(strings.ReplaceAll(
			strings.Replace(text, ":80", ":25", 1), "app.internal", "10.0.0.1"))}}},
		{FS: fstest.MapFS{AnswersFile: {Data: []byte(answers)}}, Answers: true},
	}, &faults)
	return farms[1], faults
}

// A farm is read again if an answer about one of its hostnames differs, and only then.
func TestCacheFollowsAnswers(t *testing.T) {
	var c Cache
	first, _ := readWithAnswers(&c, `{"app.internal": ["10.0.0.1"], "other": ["10.0.0.9"]}`)
	mail := c.Readings()[0].Farm()
	if same, _ := readWithAnswers(&c, `{"app.internal": ["10.0.0.1"], "other": []}`); same != first {
		t.Error("the farm is read again after the answer about another hostname")
	}
	changed, _ := readWithAnswers(&c, `{"app.internal": ["10.0.0.2", "10.0.0.1"]}`)
	if changed == first || len(changed.Backends) != 2 || changed.Backends[1].Name != "app@10.0.0.2" {
		t.Errorf("after another answer the backends are %v", changed.backendNames())
	}
	if c.Readings()[0].Farm() != mail {
		t.Error("a farm without hostnames is read again")
	}
}

// An answer has a bounded number of addresses, and the lowest ones serve.
func TestAnswersAreBounded(t *testing.T) {
	many := Answers{"app.internal": nil}
	for i := range 100 {
		many["app.internal"] = append(many["app.internal"], netip.AddrFrom4([4]byte{10, 0, 0, byte(200 - i)}))
	}
	f, faults := readWithAnswers(new(Cache), string(many.Text()))
	if len(f.Backends) != MaxAnswers || len(f.Named("app@10.0.0.200")) > 0 || len(f.Named("app@10.0.0.101")) == 0 {
		t.Errorf("the backends are %v", f.backendNames())
	}
	if !strings.Contains(faults[0].Message, "more than 32 addresses") || faults.Faulty() {
		t.Errorf("the diagnostics are %v", faults)
	}
}

// A damaged file of answers is a warning, and the hostnames are as if nobody had asked.
func TestDamagedAnswers(t *testing.T) {
	f, faults := readWithAnswers(new(Cache), `{"app.internal": `)
	if len(f.Backends) != 0 || len(faults) != 2 ||
		!strings.Contains(faults[0].Message+faults[1].Message, "can't be read") {
		t.Errorf("%v, %v", f.backendNames(), faults)
	}
}

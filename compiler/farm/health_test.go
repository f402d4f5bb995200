package farm

import (
	"slices"
	"testing"
	"time"
)

const healthFarm = `listen = '192.0.2.10:80'
[health]
type = 'https'
path = '/healthz'
body = 'OK'
interval = '5s'
agree = 2
panic = '30%'
tls-ca = '/etc/ca.pem'
[backends.b1]
address = '10.0.0.11'
port = 8443
[backends.b2]
address = '10.0.0.12'
[backends.b2.health]
type = 'http'
port = 8080
interval = '500ms'
body-regexp = '^ready'
agree = 1
[backends.b3]
address = '10.0.0.13'
health.type = 'none'
[backends.b4]
address = '10.0.0.14'
health = { tls-verify = false }
`

// readHealthy gives a farm without faults, and a function that gives the check of a backend.
func readHealthy(t *testing.T, text string) (*Farm, func(backend string) Health) {
	t.Helper()
	f, told := oneFarm(t, text)
	if told != "" {
		t.Fatal(told)
	}
	return f, func(backend string) Health { return f.HealthOf(backendNamed(f, backend)) }
}

func TestHealthOfABackend(t *testing.T) {
	_, of := readHealthy(t, healthFarm)
	b1, b2, b3, b4 := of("b1"), of("b2"), of("b3"), of("b4")
	for _, test := range []struct {
		rule      string
		got, want any
	}{
		{"the farm's type", b1.Type, HealthHTTPS},
		{"the port of the backend", b1.Port, uint16(8443)},
		{"the timeout is a second", b1.Timeout, time.Second},
		{"the fast interval is the interval", b1.FastInterval, 5 * time.Second},
		{"defaults of the rest", b1.Rise*10 + b1.Fall, 23},
		{"panic is the farm's", []int{b1.Panic, b2.Panic}, []int{30, 30}},
		{"a key of the backend", b2.Type, HealthHTTP},
		{"a port for the checks", b2.Port, uint16(8080)},
		{"a key that the backend lacks", b2.Path, "/healthz"},
		{"a key at its default counts", []int{b1.Agree, b2.Agree}, []int{2, 1}},
		{"a timeout is not longer than the interval", b2.Timeout, 500 * time.Millisecond},
		{"one expectation of a body", b2.Body + b2.BodyRegexp.String(), "^ready"},
		{"a backend without a check", b3.Type, HealthNone},
		{"the port that clients ask for", b3.Port, uint16(80)},
		{"a flag", []bool{b1.TLSVerify, b4.TLSVerify}, []bool{true, false}},
	} {
		if !equal(test.got, test.want) {
			t.Errorf("%s: got %v, want %v", test.rule, test.got, test.want)
		}
	}
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case []int:
		return slices.Equal(a, b.([]int))
	case []bool:
		return slices.Equal(a, b.([]bool))
	}
	return a == b
}

func TestHealthWithoutKeys(t *testing.T) {
	f, of := readHealthy(t, "listen = '192.0.2.10:80'\n[backends.b1]\naddress = '10.0.0.11'\n")
	h := of("b1")
	if h.Type != HealthNone || h.OnFail != Down || h.OnSilence != SilenceKeep || h.Agree != 1 || h.Panic != 0 ||
		f.Checked() {
		t.Errorf("%+v", h)
	}
	if !h.Accepts(200) || !h.Accepts(399) || h.Accepts(400) || h.Accepts(199) {
		t.Error("other status codes than 200-399 are accepted")
	}
}

func TestCheckedFarms(t *testing.T) {
	const head, backend = "listen = '192.0.2.10:80'\n", "[backends.b1]\naddress = '10.0.0.11'\n"
	for _, test := range []struct {
		rule, text string
		want       bool
	}{
		{"of-the-farm", head + "health.type = 'tcp'\n" + backend, true},
		{"of-a-backend", head + backend + "health.type = 'tcp'\n", true},
		{"of-no-backend", head + "health.type = 'tcp'\n" + backend + "health.type = 'none'\n", false},
		{"judgement-alone", head + "health.agree = 2\n" + backend, false},
	} {
		if f, _ := readHealthy(t, test.text); f.Checked() != test.want {
			t.Errorf("%s: got %t", test.rule, f.Checked())
		}
	}
}

func TestHealthOfAFile(t *testing.T) {
	_, of := readHealthy(t, "listen = '192.0.2.10:80'\n"+
		"health = { type = 'file', file = '/run/{farm}/{backend}.health' }\n[backends.b1]\naddress = '10.0.0.11'\n")
	if got := of("b1").File; got != "/run/web/b1.health" {
		t.Errorf("got %s", got)
	}
}

// TestHealthChangesInWords: diff and check tell each changed key of a check.
func TestHealthChangesInWords(t *testing.T) {
	const head, backend = "listen = '192.0.2.10:80'\n", "[backends.b1]\naddress = '10.0.0.11'\n"
	for _, test := range []struct {
		rule, before, after string
		want                []string
	}{
		{"new", head + backend, head + "health = { type = 'http', body = 'O\"K', panic = '30%' }\n" + backend,
			[]string{`web: health.body any → "O\"K"`, "web: health.panic never → 30%",
				"web: health.type none → http"}},
		{"interval", head + "health = { type = 'tcp', interval = '1s' }\n" + backend,
			head + "health = { type = 'tcp' }\n" + backend, []string{"web: health.interval 1s → 2s"}},
		{"of-a-backend", head + "health.type = 'tcp'\n" + backend,
			head + "health.type = 'tcp'\n" + backend + "health = { type = 'none', agree = 1 }\n",
			[]string{"web: backend b1 health.agree as the farm's → 1",
				"web: backend b1 health.type as the farm's → none"}},
		{"bytes", head + "health = { type = 'tcp', send = 'hex:0d0a' }\n" + backend,
			head + "health = { type = 'tcp', send = \"PING\\r\\n\" }\n" + backend,
			[]string{`web: health.send "\r\n" → "PING\r\n"`}},
		{"escapes", head + "health.type = 'http'\n" + backend,
			head + "health = { type = 'http', body-regexp = \"\\u001b\\u202e\" }\n" + backend,
			[]string{`web: health.body-regexp any → "\x1b\u202e"`}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			before := describe(t, map[string]string{"web": test.before})
			after := describe(t, map[string]string{"web": test.after})
			if got := Changes(before, after); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

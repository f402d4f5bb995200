package farm

import (
	"net/netip"
	"strings"
	"testing"

	"farmc/compiler/addr"
)

// TestFrontendsOfOneFarm: a listen that stands there twice is one frontend.
func TestFrontendsOfOneFarm(t *testing.T) {
	for _, test := range []struct {
		rule    string
		listens []string
		want    string
	}{
		{"twice", []string{"192.0.2.10:80,80", "192.0.2.10:80"}, "tcp . 192.0.2.10 . 80"},
		{"overlapping", []string{"192.0.2.10:10-20,15-30"}, "tcp . 192.0.2.10 . 10-30"},
		{"one-in-the-other", []string{"192.0.2.10:10-40,15-20,39-41"}, "tcp . 192.0.2.10 . 10-41"},
		{"side-by-side", []string{"192.0.2.10:10-20,21-30"}, "tcp . 192.0.2.10 . 10-20, tcp . 192.0.2.10 . 21-30"},
		{"port-in-a-range", []string{"192.0.2.10:15,10-20"}, "tcp . 192.0.2.10 . 15, tcp . 192.0.2.10 . 10-20"},
		{"more-particular-first", []string{"*:1-2", "*:1", "192.0.2.10/all", "192.0.2.10:1-2", "192.0.2.10:1"},
			"tcp . 192.0.2.10 . 1, tcp . 192.0.2.10 . 1-2, 192.0.2.10, tcp . 1, tcp . 1-2"},
		{"any-in-the-families-of-the-backends", []string{"*:1/tcp,udp"}, "tcp . 1, udp . 1"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			address := Addresses{addr.IP4: netip.MustParseAddr("10.0.0.11")}
			f := &Farm{Name: "web", Backends: []Backend{{Address: address}}}
			for _, text := range test.listens {
				l, err := parseListen(text)
				if err != nil {
					t.Fatal(err)
				}
				f.Listen = append(f.Listen, l)
			}
			var keys []string
			for _, d := range f.Frontends() {
				keys = append(keys, frontendWords(d))
			}
			if got := strings.Join(keys, ", "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// frontendWords gives protocol, address and ports, as far as the frontend has them.
func frontendWords(d Frontend) string {
	words := []string{string(d.Protocol), d.Address.String(), d.Ports.String()}
	switch {
	case d.Specificity == WholeAddress:
		words = words[1:2]
	case d.Specificity > WholeAddress:
		words = []string{words[0], words[2]}
	}
	return strings.Join(words, " . ")
}

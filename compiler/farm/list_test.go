package farm

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
)

func TestParseList(t *testing.T) {
	for _, test := range []struct {
		rule string
		text string
		want string // the networks, first to last
	}{
		{"address", "192.0.2.5", "192.0.2.5-192.0.2.5"},
		{"network", "192.0.2.0/24", "192.0.2.0-192.0.2.255"},
		{"network-with-host-bits", "192.0.2.77/24", "192.0.2.0-192.0.2.255"},
		{"network-of-one", "192.0.2.5/32", "192.0.2.5-192.0.2.5"},
		{"network-of-odd-length", "192.0.2.128/25\n10.0.0.0/9", "192.0.2.128-192.0.2.255 10.0.0.0-10.127.255.255"},
		{"everything", "0.0.0.0/0\n::/0", "0.0.0.0-255.255.255.255 ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"range", "192.0.2.5-192.0.2.9", "192.0.2.5-192.0.2.9"},
		{"range-with-blanks", "192.0.2.5 - 192.0.2.9", "192.0.2.5-192.0.2.9"},
		{"range-of-one", "192.0.2.5-192.0.2.5", "192.0.2.5-192.0.2.5"},
		{"ip6", "2001:db8::/33\n2001:db8::5-2001:db8::9\n2001:DB8::1",
			"2001:db8::-2001:db8:7fff:ffff:ffff:ffff:ffff:ffff 2001:db8::5-2001:db8::9 2001:db8::1-2001:db8::1"},
		{"comments", "# a\n192.0.2.5 # b\n; c\n192.0.2.6;d\n192.0.2.7 ; SBL123",
			"192.0.2.5-192.0.2.5 192.0.2.6-192.0.2.6 192.0.2.7-192.0.2.7"},
		{"comments-alone", "# nothing yet\n", ""},
		{"blank-lines", "\n\n  \n\t\n192.0.2.5\n\n", "192.0.2.5-192.0.2.5"},
		{"blanks-around", "\t 192.0.2.5 \t", "192.0.2.5-192.0.2.5"},
		{"crlf", "192.0.2.5\r\n192.0.2.6\r\n", "192.0.2.5-192.0.2.5 192.0.2.6-192.0.2.6"},
		{"byte-order-mark", "\ufeff192.0.2.5\n192.0.2.6", "192.0.2.5-192.0.2.5 192.0.2.6-192.0.2.6"},
		{"order-is-kept", "192.0.2.6\n192.0.2.5\n192.0.2.6",
			"192.0.2.6-192.0.2.6 192.0.2.5-192.0.2.5 192.0.2.6-192.0.2.6"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			var faults diag.Diagnostics
			var got []string
			l := parseList(file{path: "office.list", text: []byte(test.text)}, &faults)
			for _, f := range addr.Families {
				for _, s := range l.ranges[f] {
					got = append(got, s.First.Address(f).String()+"-"+s.Last.Address(f).String())
				}
			}
			if strings.Join(got, " ") != test.want || len(faults) > 0 {
				t.Errorf("got %v, %s\nwant %s", got, list(faults), test.want)
			}
		})
	}
}

func TestParseListFaults(t *testing.T) {
	const none = "\n0:0 none of the lines is an address, a network or a range"
	for _, test := range []struct {
		rule string
		text string
		want string
	}{
		{"empty", "", "0:0 the file is empty"},
		{"places", "192.0.2.1\n\té 1\n  192.0.2.256 # x",
			"2:2 \"é 1\" is not an address\n3:3 \"192.0.2.256\" is not an address"},
		{"mask-of-dots", "192.0.2.0/255.255.255.0", "1:1 \"192.0.2.0/255.255.255.0\" is not a network" + none},
		{"too-long", "192.0.2.0/33", "1:1 \"192.0.2.0/33\" is not a network" + none},
		{"zone", "fe80::1%eth0", "1:1 \"fe80::1%eth0\" names a zone, which a rule can't hold" + none},
		{"zone-of-a-network", "fe80::%eth0/64", "1:1 \"fe80::%eth0/64\" is not a network" + none},
		{"ip4-as-ip6", "::ffff:192.0.2.1", "1:1 \"::ffff:192.0.2.1\" is an IPv4 address written as IPv6" + none},
		{"two-families", "192.0.2.1-2001:db8::1", "1:1 \"192.0.2.1-2001:db8::1\" joins two families" + none},
		{"backwards", "192.0.2.9-192.0.2.1", "1:1 \"192.0.2.9-192.0.2.1\" ends before it begins" + none},
		{"network-to-network", "192.0.2.0/24-192.0.3.0/24", "1:1 \"192.0.2.0/24\" is not an address" + none},
		{"two-in-a-line", "192.0.2.1,192.0.2.2", "1:1 \"192.0.2.1,192.0.2.2\" is not an address" + none},
		{"byte-order-mark-counts-for-nothing", "\ufeffx", "1:1 \"x\" is not an address" + none},
		{"long-line", strings.Repeat("x", 1<<20),
			"1:1 \"" + strings.Repeat("x", 199) + " ... " + strings.Repeat("x", 81) + "\" is not an address" + none},
		{"not-utf-8", "\xff", "1:1 \"\\xff\" is not an address" + none},
	} {
		t.Run(test.rule, func(t *testing.T) {
			var faults diag.Diagnostics
			parseList(file{path: "office.list", text: []byte(test.text)}, &faults)
			for i := range faults {
				faults[i].Hint = ""
			}
			if got := list(faults); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestListOfHalfAMillion: a published list of that size is read in a moment, into few sets.
func TestListOfHalfAMillion(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	var text []byte
	for i := range 500_000 {
		a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, r.Uint32())))
		text = fmt.Appendf(text, "%s/%d ; SBL%d\n", a, []int{24, 24, 24, 32, 22}[r.IntN(5)], i)
	}
	begin := time.Now()
	var faults diag.Diagnostics
	l := parseList(file{text: text}, &faults)
	read := time.Since(begin)
	sets := l.Sets(addr.IP4)
	all := time.Since(begin)
	t.Logf("read in %s, and in sets after %s", read, all)
	if len(faults) > 0 || len(sets) > 4 {
		t.Errorf("%d sets after %s: %s", len(sets), all, list(faults))
	}
}

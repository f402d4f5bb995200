package trace

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"farmc/compiler/farm"
)

// TestParseHeader: addresses, ports and flags of both IP versions, with and without extension headers.
func TestParseHeader(t *testing.T) {
	v4 := "E\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\xc6\x33\x64\x07\xc0\x00\x02\x0a"
	v6 := "\x60\x00\x00\x00\x00\x08%c\x40" + strings.Repeat("\x20", 16) + strings.Repeat("\x21", 16)
	ports := "\x9c\x40\x00\x50"
	for _, test := range []struct{ rule, network, transport, want string }{
		{"ip4-tcp", v4, ports + strings.Repeat("\x00", 8) + "\x50\x12", "198.51.100.7:40000 192.0.2.10:80 6 syn ack"},
		{"ip4-cut", v4, "\x9c\x40", "198.51.100.7:0 192.0.2.10:0 6 "},
		{"ip4-short", v4[:19], ports, ""},
		{"ip6-udp", fmt.Sprintf(v6, 17), ports,
			"[2020:2020:2020:2020:2020:2020:2020:2020]:40000 [2121:2121:2121:2121:2121:2121:2121:2121]:80 17 "},
		{"ip6-options", fmt.Sprintf(v6, 0) + "\x11\x00\x00\x00\x00\x00\x00\x00", ports,
			"[2020:2020:2020:2020:2020:2020:2020:2020]:40000 [2121:2121:2121:2121:2121:2121:2121:2121]:80 17 "},
		{"ip6-options-cut", fmt.Sprintf(v6, 0) + "\x11\xff\x00\x00\x00\x00\x00\x00", ports,
			"[2020:2020:2020:2020:2020:2020:2020:2020]:40000 [2121:2121:2121:2121:2121:2121:2121:2121]:80 17 "},
		{"empty", "", "", ""},
		{"arp", "\x00\x01\x08\x00" + strings.Repeat("\x00", 40), "", ""},
	} {
		got := ""
		if h := parseHeader([]byte(test.network), []byte(test.transport)); h != nil {
			got = fmt.Sprintf("%s %s %d %s", h.source, h.destination, h.protocol, h.flagWords())
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.rule, got, test.want)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte("E\x00\x00\x28\x00\x00\x00\x00\x40\x06"+strings.Repeat("\x00", 10)), []byte("\x9c\x40\x00\x50"))
	f.Add([]byte("\x60\x00\x00\x00\x00\x08\x00\x40"+strings.Repeat("\x00", 60)), []byte{})
	f.Fuzz(func(_ *testing.T, network, transport []byte) {
		if h := parseHeader(network, transport); h != nil {
			_ = h.flagWords()
		}
	})
}

// A fake is a source of events.
type fake struct {
	*collector
	now time.Time
}

var anyHeader = &header{source: netip.MustParseAddrPort("198.51.100.7:40000"),
	destination: netip.MustParseAddrPort("192.0.2.10:80"), protocol: tcp}

// inet gives an event in a chain of a table of family inet.
func inet(table, chain string, code int32) event {
	return event{id: 1, chain: chainID{unix.NFPROTO_INET, table, chain}, verdict: verdict{code: code}, handle: 7}
}

func (e event) first() event {
	e.header = anyHeader
	return e
}

func (e event) policy() event {
	e.handle = 0
	return e
}

// TestCollect: a journey begins with the mark of the own table, and ends at the last hook, or with a drop.
func TestCollect(t *testing.T) {
	const own, other = "farmc-trace-1", "farmc-trace-2"
	mark := inet(own, markChain, unix.NFT_CONTINUE).first()
	left := inet(own, leaveChain, accept).policy().first()
	begins := inet(own, enterChain, unix.NFT_GOTO).first()
	begins.verdict.chain = markChain
	atIngress := mark
	atIngress.chain.family = unix.NFPROTO_NETDEV
	for _, test := range []struct {
		rule   string
		events []event
		want   string // the numbers of events of the journeys
	}{
		{"sent", []event{mark, inet("farmc", "prerouting", unix.NFT_GOTO), left}, "3"},
		{"dropped", []event{mark, inet("filter", "forward", drop).first(), left}, "2"},
		{"the-same-id-again", []event{mark, left, mark, left}, "2 2"},
		{"the-same-id-before-the-end", []event{mark, mark, left}, "1 2"},
		{"from-the-ingress", []event{atIngress, begins, inet(own, markChain, unix.NFT_CONTINUE), left}, "4"},
		{"of-another-trace", []event{inet(other, markChain, unix.NFT_CONTINUE).first(),
			inet(own, enterChain, accept).policy().first(), left}, ""},
		{"of-both-traces", []event{inet(other, markChain, unix.NFT_CONTINUE).first(), begins,
			inet(own, markChain, unix.NFT_CONTINUE), left}, "3"},
		{"over-the-limit", []event{inet(other, markChain, unix.NFT_CONTINUE).first(), begins, left}, ""},
	} {
		f, got := fake{newCollector(own), time.Now()}, []string{}
		for _, e := range test.events {
			for _, j := range f.add(e, f.now) {
				got = append(got, fmt.Sprint(len(j.events)))
			}
		}
		if words := strings.Join(got, " "); words != test.want || len(f.open) > 0 {
			t.Errorf("%s: %q, want %q; %d are open", test.rule, words, test.want, len(f.open))
		}
	}
}

// TestExpire: a packet that nothing is heard of has ended; one that a program holds has more time.
func TestExpire(t *testing.T) {
	const own = "farmc-trace-1"
	f := fake{newCollector(own), time.Now()}
	f.add(inet(own, markChain, unix.NFT_CONTINUE).first(), f.now)
	queued := inet(own, markChain, unix.NFT_CONTINUE).first()
	queued.id = 2
	f.add(queued, f.now)
	queued = inet("other", "chain", queue).first()
	queued.id = 2
	f.add(queued, f.now)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 0}, {patience / 2, 0}, {2 * patience, 1}, {2 * queuePatience, 1}} {
		if got := len(f.expire(f.now.Add(step.after))); got != step.want {
			t.Errorf("after %s %d packets have ended, not %d", step.after, got, step.want)
		}
	}
}

// TestBounds: neither the events of a packet nor the packets at once grow without bound.
func TestBounds(t *testing.T) {
	const own = "farmc-trace-1"
	f := fake{newCollector(own), time.Now()}
	for i := range 3 * maxOpen {
		mark := inet(own, markChain, unix.NFT_CONTINUE).first()
		mark.id = uint32(i)
		f.add(mark, f.now)
	}
	for range 3 * maxEvents {
		f.add(inet("other", "chain", unix.NFT_CONTINUE), f.now)
	}
	if j := f.open[1]; len(f.open) != maxOpen || len(j.events) != maxEvents || !j.lost {
		t.Errorf("%d packets, %d events, lost %t", len(f.open), len(j.events), j.lost)
	}
}

// TestNamesArePrintable: names of tables and chains of other programs reach no terminal as they are.
func TestNamesArePrintable(t *testing.T) {
	tr := &Translator{}
	tr.prepare()
	j := &journey{first: anyHeader, latest: anyHeader, events: []event{
		{chain: chainID{unix.NFPROTO_INET, "a\x1b[31m", "b\nc"}, header: anyHeader, verdict: verdict{code: drop}}}}
	p := tr.translate(t.Context(), j, "farmc-trace-1")
	if text := fmt.Sprint(p); strings.ContainsAny(text, "\x1b\n") || p.Outcome != Dropped ||
		!strings.Contains(p.Reason, "its policy drops it") {
		t.Errorf("%q", text)
	}
}

// TestValidate: a filter keeps the targets that its clients can reach, and refuses too many.
func TestValidate(t *testing.T) {
	many := make([]Target, maxTargets+1)
	for _, test := range []struct {
		rule    string
		targets []Target
		clients string
		want    error
		kept    int
	}{
		{"both-families", []Target{{IP6: true}, {}}, "", nil, 2},
		{"of-ip6", []Target{{IP6: true}, {}}, "2001:db8::/32", nil, 1},
		{"none", []Target{{IP6: true}}, "198.51.100.0/24", ErrNoTarget, 0},
		{"too-many", many, "", ErrTooManyTargets, len(many)},
		{"as-many-as-allowed", many[1:], "198.51.100.0/24", nil, maxTargets},
	} {
		f := Filter{Targets: test.targets}
		if test.clients != "" {
			f.Clients = netip.MustParsePrefix(test.clients)
		}
		if err := f.Validate(); err != test.want || len(f.Targets) != test.kept {
			t.Errorf("%s: %v and %d targets, want %v and %d", test.rule, err, len(f.Targets), test.want, test.kept)
		}
	}
}

// TestDescribeCounter: each reason to deny or limit a client has its words.
func TestDescribeCounter(t *testing.T) {
	for counter, want := range map[string]string{
		"farm/web/denied":           "access denies the client",
		"farm/web/denied/list/bad":  "access denies the client: deny has @bad",
		"farm/web/log-only":         "access logs the client in place of denying it",
		"farm/web/banned":           "the client is banned",
		"farm/web/strict-tcp":       "over the limit strict-tcp",
		"farm/new/new":              "over the limit new",
		"other/web/denied":          "",
		"farm/web":                  "",
		"farm/denied/something-new": "",
	} {
		got := describeCounter(kernelRule{objects: []string{counter}}, event{verdict: verdict{code: drop}})
		if got != want {
			t.Errorf("%s: %q, want %q", counter, got, want)
		}
	}
	for _, reason := range farm.Reasons {
		if describeCounter(kernelRule{objects: []string{"farm/web/" + string(reason)}}, event{}) == "" {
			t.Errorf("no words for %s", reason)
		}
	}
}

func TestCodeOf(t *testing.T) {
	for n, want := range map[uint32]int32{0: drop, 1: accept, 3: queue, 5<<16 | 0x8000 | 3: queue,
		0xffff<<16 | 3: queue, 0xffff << 16: drop, 0xffffffff: unix.NFT_CONTINUE, 0xfffffffb: unix.NFT_RETURN} {
		if got := codeOf(n); got != want {
			t.Errorf("%#x is %d, want %d", n, got, want)
		}
	}
}

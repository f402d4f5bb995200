package foreign

import (
	"encoding/binary"
	"testing"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// suricata reads the queues 4 to 6.
const suricata = `    4  21764     0 2 65531     0     0       33  1
    5  21765     0 2 65531     0     0       33  1
    6 -21766    12 2 65531     0     0       33  1
`

// The kernel drops packets of a queue that no program reads, unless the rule has the flag bypass. The kernel of a test
// machine may lack the expression queue, so the rules are the bytes that it would give.
func TestQueues(t *testing.T) {
	const number, total, flags, register = 1, 2, 3, 4
	numbers := func(of map[uint16]uint16) expression {
		a := nfnetlink.Attributes{}
		for kind, n := range of {
			a[kind] = binary.BigEndian.AppendUint16(nil, n)
		}
		return compile("queue", a)
	}
	iptables := func(info ...uint16) expression {
		data := make([]byte, 8)
		for i, n := range info {
			hostOrder.PutUint16(data[2*i:], n)
		}
		return compile("target", nfnetlink.Attributes{unix.NFTA_TARGET_NAME: []byte("NFQUEUE\x00"),
			unix.NFTA_TARGET_INFO: data})
	}
	for _, c := range []struct {
		name string
		rule rule
		read *queues
		want Result
	}{
		{"nobody", rule{numbers(map[uint16]uint16{number: 0, total: 1})}, parseQueues(""), lost},
		{"other-queues", rule{numbers(map[uint16]uint16{number: 0, total: 1})}, parseQueues(suricata), lost},
		{"read", rule{numbers(map[uint16]uint16{number: 4, total: 1})}, parseQueues(suricata), decidedByProgram},
		{"bypass", rule{numbers(map[uint16]uint16{number: 0, total: 1, flags: 1})}, parseQueues(""), decidedByProgram},
		{"fanout", rule{numbers(map[uint16]uint16{number: 0, total: 1, flags: 2})}, parseQueues(""), lost},
		{"range", rule{numbers(map[uint16]uint16{number: 0, total: 4})}, parseQueues(suricata), lost},
		{"range-that-is-read-in-part", rule{numbers(map[uint16]uint16{number: 0, total: 5})}, parseQueues(suricata),
			decidedByProgram},
		{"number-of-a-map", rule{numbers(map[uint16]uint16{register: 8})}, parseQueues(""), decidedByProgram},
		{"not-known", rule{numbers(map[uint16]uint16{number: 0, total: 1})}, &queues{unknown: true}, decidedByProgram},
		{"maybe", rule{undecided, numbers(map[uint16]uint16{number: 0, total: 1})}, parseQueues(""),
			Result{Verdict: Accept, Chain: "base"}},
		{"maybe-read", rule{undecided, numbers(map[uint16]uint16{number: 4, total: 1})}, parseQueues(suricata),
			Result{Verdict: Accept, Chain: "base", Undecided: true}},
		{"iptables", rule{iptables(0, 1)}, parseQueues(""), lost},
		{"iptables-first-version", rule{iptables(9)}, parseQueues(suricata), lost},
		{"iptables-read", rule{iptables(6, 1)}, parseQueues(suricata), decidedByProgram},
		{"iptables-bypass", rule{iptables(0, 1, 1)}, parseQueues(""), decidedByProgram},
		{"iptables-fanout", rule{iptables(0, 4, 2)}, parseQueues(""), lost},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := &Chain{Family: unix.NFPROTO_INET, Table: "t", Name: "base", Hook: unix.NF_INET_FORWARD,
				policy: accepted, rules: []rule{c.rule}}
			r := &Ruleset{chains: map[chainID]*Chain{}, uses: map[chainID]usage{}, memory: map[question]Result{},
				queues: c.read}
			if got := r.Evaluate(t.Context(), base, request); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

var (
	lost             = Result{Verdict: Unread, Chain: "base"}
	decidedByProgram = Result{Verdict: Queue, Chain: "base"}
	undecided        = constant(maybe, verdict{})
)

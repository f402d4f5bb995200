package foreign

import (
	"os/exec"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"

	"golang.org/x/sys/unix"
)

// numbered is a mark of which all bits are known.
func numbered(n uint32) Mark { return NoMark.With(n, allBits) }

// marked is the request with the packet mark 0x4001 and the connection mark 0x11.
func marked() Packet {
	p := request
	p.Mark, p.ConnectionMark = numbered(0x4001), numbered(0x11)
	return p
}

// A match on marks that are known is decided, and one on bits that are not known is not.
func TestMarks(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	some := request // with the bits 0x00f0 of the packet mark alone: 0x0040
	some.Mark = Mark{}.With(0x40, 0xf0)
	untracked := marked()
	untracked.State = Untracked
	for _, c := range []struct {
		match  string
		packet Packet
		want   truth
	}{
		{"meta mark 0x4001", marked(), yes}, {"meta mark 0", marked(), no}, {"meta mark != 0x4001", marked(), no},
		{"meta mark & 0x4000 == 0x4000", marked(), yes}, {"meta mark & 0x4000 == 0", marked(), no},
		{"meta mark & 0x8000 != 0", marked(), no}, {"meta mark { 1, 0x4001 }", marked(), yes},
		{"meta mark { 1, 2 }", marked(), no}, {"meta mark 0x4000-0x5000", marked(), yes},
		{"meta mark 1-0x4000", marked(), no}, {"meta mark > 0x4001", marked(), no},
		{"meta mark { 1-2, 0x4001-0x4002 }", marked(), yes}, {"meta mark . iifname { 0x4001 . eth0 }", marked(), yes},
		{"ct mark 0x11", marked(), yes}, {"ct mark 0", marked(), no}, {"ct mark & 0xf0 == 0x10", marked(), yes},
		{"ct mark vmap { 0x11 : accept }", marked(), yes},
		{"ct mark 0x11", untracked, no}, {"ct mark != 0x11", untracked, no}, {"meta mark 0x4001", untracked, yes},
		{"meta mark & 0xf0 == 0x40", some, yes}, {"meta mark & 0xf0 == 0", some, no},
		{"meta mark & 0xff == 0x40", some, maybe}, {"meta mark & 0xff == 0x50", some, no},
		{"meta mark 0x40", some, maybe},
		{"meta mark 0x11", some, no}, {"ct mark 0", some, maybe}, {"meta mark 0", request, maybe},
	} {
		t.Run(c.match, func(t *testing.T) {
			verdict := " accept"
			if strings.Contains(c.match, "vmap") {
				verdict = ""
			}
			got := result(t, lab, `table inet t { chain base { type filter hook forward priority 0; policy drop; `+
				c.match+verdict+`; }; }`, c.packet)
			want := map[truth]Kind{yes: Accept, no: Drop, maybe: Drop}[c.want]
			if got.Verdict != want || got.Undecided != (c.want == maybe) {
				t.Errorf("got %+v, want %v", got, c.want)
			}
		})
	}
}

// Rules change the marks with which a packet leaves a chain. Bits on which several ways through the chain differ are
// not known.
func TestMarksSet(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	const may = "ip saddr 198.51.100.1"
	agreed := Mark{}.With(0x4001, allBits&^1) // 0x4001 or 0x4000
	for _, c := range []struct {
		rules              string
		packet, connection Mark
	}{
		{"counter", numbered(0x4001), numbered(0x11)},
		{"meta mark set 7", numbered(7), numbered(0x11)},
		{"meta mark set meta mark | 0x10", numbered(0x4011), numbered(0x11)},
		{"meta mark set meta mark & 0xff", numbered(1), numbered(0x11)},
		{"ct mark set meta mark", numbered(0x4001), numbered(0x4001)},
		{"meta mark set ct mark", numbered(0x11), numbered(0x11)},
		{"ct mark set ct mark & 0xf0 | 2", numbered(0x4001), numbered(0x12)},
		{"tcp dport 22 meta mark set 7", numbered(0x4001), numbered(0x11)},
		{"tcp dport 8080 meta mark set 7", numbered(7), numbered(0x11)},
		{may + " meta mark set 0x4000", agreed, numbered(0x11)},
		{"meta mark set 0x4000 " + may + " accept", numbered(0x4000), numbered(0x11)},
		{may + " accept; meta mark set 0x4000", agreed, numbered(0x11)},
		{may + " drop; meta mark set 0x4000", numbered(0x4000), numbered(0x11)},
		{may + " jump marks", agreed, numbered(0x11)},
		{"jump marks", numbered(0x4000), numbered(0x11)},
		{"jump some", agreed, numbered(0x11)},
		{`meta mark set iifname map { "eth0" : 5, "eth1" : 6 }`, numbered(5), numbered(0x11)},
		{`meta mark set iifname map { "eth1" : 6 }`, numbered(0x4001), numbered(0x11)},
		{"meta mark set tcp dport map { 1-1023 : 5, 8000-8100 : 6 }", numbered(6), numbered(0x11)},
		{"meta mark set tcp sport map { 1 : 5 }", Mark{}, numbered(0x11)},
		{"meta mark set numgen random mod 4", Mark{}, numbered(0x11)},
		{"meta nftrace set 0", numbered(0x4001), numbered(0x11)},
	} {
		t.Run(c.rules, func(t *testing.T) {
			got := result(t, lab, `table inet t {
				chain marks { meta mark set 0x4000; }
				chain some { `+may+` return; meta mark set 0x4000; }
				chain base { type filter hook forward priority 0; `+c.rules+`; }; }`, marked())
			if got.Mark != c.packet || got.ConnectionMark != c.connection {
				t.Errorf("got %#x and %#x, want %#x and %#x", got.Mark, got.ConnectionMark, c.packet, c.connection)
			}
		})
	}
}

// Connection tracking ignores a mark that a rule sets before it, or for a packet that it leaves alone.
func TestMarkWithoutConnection(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	p := marked()
	p.State = Invalid
	got := result(t, lab, `table inet t {
		chain base { type filter hook prerouting priority raw; ct mark set 9; }; }`, p)
	if got.ConnectionMark != numbered(0x11) {
		t.Errorf("got %#x", got.ConnectionMark)
	}
}

// The program that reads a queue can set marks.
func TestMarksOfAQueue(t *testing.T) {
	for name, c := range map[string]rule{
		"queue": {constant(yes, verdict{kind: Queue})}, "maybe": {undecided, constant(yes, verdict{kind: Queue})}} {
		base := &Chain{Family: unix.NFPROTO_INET, Table: "t", Name: "base", Hook: unix.NF_INET_FORWARD,
			policy: accepted, rules: []rule{c, {marksPacket(unix.NFT_REG32_00)}}}
		r := &Ruleset{chains: map[chainID]*Chain{{unix.NFPROTO_INET, "t", "base"}: base}, uses: map[chainID]usage{},
			memory: map[question]Result{}}
		if got := r.Evaluate(t.Context(), base, marked()); got.Mark != (Mark{}) {
			t.Errorf("%s: got %#x", name, got.Mark)
		}
	}
}

// iptables-nft writes its matches and targets of marks as expressions of nft, or as its own.
func TestMarksOfIptables(t *testing.T) {
	if _, err := exec.LookPath("iptables-nft"); err != nil {
		t.Skip("no iptables-nft here")
	}
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	for _, c := range []struct {
		rule               string
		verdict            Kind
		packet, connection Mark
	}{
		{"-m mark --mark 0x4000/0x4000 -j DROP", Drop, numbered(0x4001), numbered(0x11)},
		{"-m mark ! --mark 0x4000/0x4000 -j DROP", Accept, numbered(0x4001), numbered(0x11)},
		{"-m mark --mark 1 -j DROP", Accept, numbered(0x4001), numbered(0x11)},
		{"-m connmark --mark 0x10/0xf0 -j DROP", Drop, numbered(0x4001), numbered(0x11)},
		{"-m connmark ! --mark 0x11 -j DROP", Accept, numbered(0x4001), numbered(0x11)},
		{"-j MARK --set-mark 2", Accept, numbered(2), numbered(0x11)},
		{"-j MARK --set-xmark 0x3/0xf", Accept, numbered(0x4003), numbered(0x11)},
		{"-j MARK --or-mark 0x10", Accept, numbered(0x4011), numbered(0x11)},
		{"-j MARK --and-mark 0xff", Accept, numbered(1), numbered(0x11)},
		{"-j CONNMARK --set-mark 5", Accept, numbered(0x4001), numbered(5)},
		{"-j CONNMARK --set-xmark 0x2/0xf", Accept, numbered(0x4001), numbered(0x12)},
		{"-j CONNMARK --save-mark", Accept, numbered(0x4001), numbered(0x4001)},
		{"-j CONNMARK --save-mark --mask 0xff", Accept, numbered(0x4001), numbered(0x01)},
		{"-j CONNMARK --restore-mark", Accept, numbered(0x11), numbered(0x11)},
		{"-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xf0", Accept, numbered(0x4010), numbered(0x11)},
		{"-s 198.51.100.1 -j MARK --set-mark 0x4000", Accept, Mark{}.With(0x4000, allBits&^1), numbered(0x11)},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := resultOfIptables(t, lab, "FORWARD -t mangle "+c.rule, marked())
			if got.Verdict != c.verdict || got.Mark != c.packet || got.ConnectionMark != c.connection {
				t.Errorf("got %+v", got)
			}
		})
	}
}

package resolve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A server is a DNS server of a test. Its records are lines of a zone, by name and type.
type server struct {
	mu      sync.Mutex
	records []string
	rcode   int
	silent  bool
	replyTo string // the name in the question of replies; "": that of the question
	asked   atomic.Int32
	tcp     atomic.Int32
}

func (s *server) set(rcode int, records ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records, s.rcode, s.silent = records, rcode, false
}

func (s *server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked.Add(1)
	if s.silent {
		return
	}
	reply := new(dns.Msg).SetRcode(q, s.rcode)
	for _, line := range s.records {
		record, err := dns.NewRR(line)
		if err != nil {
			panic(err)
		}
		if t := record.Header().Rrtype; t == q.Question[0].Qtype || t == dns.TypeCNAME {
			reply.Answer = append(reply.Answer, record)
		}
	}
	if s.replyTo != "" {
		reply.Question[0].Name = s.replyTo
	}
	if _, byUDP := w.RemoteAddr().(*net.UDPAddr); byUDP {
		reply.Truncate(512)
	} else {
		s.tcp.Add(1)
	}
	_ = w.WriteMsg(reply)
}

// start returns a resolver that asks a new server, with another file of hosts.
func start(t *testing.T, hosts string) (*Resolver, *server) {
	t.Helper()
	s := &server{}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: streams, Handler: s}} {
		go one.ActivateAndServe()
		t.Cleanup(func() { one.Shutdown() })
	}
	r := New(func(a netip.Addr) string {
		if a.IsLoopback() {
			return "a loopback address"
		}
		return ""
	})
	dir := t.TempDir()
	r.Config, r.Hosts = filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "hosts")
	for path, text := range map[string]string{r.Config: "nameserver 127.0.0.1\nsearch example.org\n", r.Hosts: hosts} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, r.Port, _ = net.SplitHostPort(packets.LocalAddr().String())
	return r, s
}

var both = map[string]Wanted{"app.test": {IP4: true, IP6: true}}

func words(r Record) string {
	var out []string
	for _, a := range r.Addresses {
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}

// again asks once more before the TTL ends.
func again(t *testing.T, r *Resolver) Record {
	t.Helper()
	r.mu.Lock()
	for _, n := range r.names {
		n.due = time.Time{}
	}
	r.mu.Unlock()
	return r.AskOnce(t.Context(), both)["app.test"]
}

// Both families are asked for, aliases are followed, records of other names are ignored.
func TestAnswersOfBothFamilies(t *testing.T) {
	r, s := start(t, "")
	s.set(dns.RcodeSuccess, "app.test. 60 CNAME real.test.", "real.test. 30 A 10.0.0.2", "real.test. 30 A 10.0.0.1",
		"evil.test. 30 A 10.9.9.9", "real.test. 20 AAAA 2001:db8::1")
	got := r.AskOnce(t.Context(), both)["app.test"]
	if words(got) != "10.0.0.1 10.0.0.2 2001:db8::1" || got.Reason != "" {
		t.Errorf("the record is %+v", got)
	}
	if left := time.Until(got.Next); left > 21*time.Second || left < 15*time.Second {
		t.Errorf("the next question is in %s; the shortest TTL is 20 s", left)
	}
}

// A family that the farms do not use is not asked for.
func TestOnlyWantedFamily(t *testing.T) {
	r, s := start(t, "")
	s.set(dns.RcodeSuccess, "app.test. 30 A 10.0.0.1", "app.test. 30 AAAA 2001:db8::1")
	got := r.AskOnce(t.Context(), map[string]Wanted{"app.test": {IP6: true}})["app.test"]
	if words(got) != "2001:db8::1" || s.asked.Load() != 1 {
		t.Errorf("%d questions give %s", s.asked.Load(), words(got))
	}
}

// The last good answer stays while DNS fails, and the record says why and since when.
func TestLastGoodAnswerStays(t *testing.T) {
	for name, fail := range map[string]struct {
		spoil func(*server)
		want  string
	}{
		"NXDOMAIN":   {func(s *server) { s.set(dns.RcodeNameError) }, "NXDOMAIN"},
		"SERVFAIL":   {func(s *server) { s.set(dns.RcodeServerFailure) }, "SERVFAIL"},
		"no address": {func(s *server) { s.set(dns.RcodeSuccess) }, "has no address"},
		"refused answer": {func(s *server) { s.set(dns.RcodeSuccess, "app.test. 30 A 127.0.0.1") },
			"127.0.0.1 is a loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := start(t, "")
			s.set(dns.RcodeSuccess, "app.test. 30 A 10.0.0.1")
			r.AskOnce(t.Context(), both)
			fail.spoil(s)
			got := again(t, r)
			if words(got) != "10.0.0.1" || !strings.Contains(got.Reason, fail.want) || got.Since.IsZero() {
				t.Fatalf("the record is %+v", got)
			}
			since := got.Since.Add(-time.Hour) // the time of a record has no parts of a second
			r.names["app.test"].record.Since = since
			if got = again(t, r); got.Since != since {
				t.Errorf("a second failure moves the time of the first from %s to %s", since, got.Since)
			}
			s.set(dns.RcodeSuccess, "app.test. 30 A 10.0.0.2")
			if got = again(t, r); words(got) != "10.0.0.2" || got.Reason != "" || !got.Since.IsZero() {
				t.Errorf("after the failure the record is %+v", got)
			}
		})
	}
}

// A hostname without an answer in this process keeps the one that it was given.
func TestLastAnswerOfAnotherProcess(t *testing.T) {
	r, s := start(t, "")
	s.set(dns.RcodeServerFailure)
	last := []netip.Addr{netip.MustParseAddr("10.0.0.7")}
	got := r.AskOnce(t.Context(), map[string]Wanted{"app.test": {IP4: true, Last: last}})["app.test"]
	if words(got) != "10.0.0.7" || got.Reason == "" {
		t.Errorf("the record is %+v", got)
	}
}

// One refused address does not spoil the others.
func TestRefusedAddressIsLeftOut(t *testing.T) {
	r, s := start(t, "")
	s.set(dns.RcodeSuccess, "app.test. 30 A 127.0.0.1", "app.test. 30 A 10.0.0.1")
	got := r.AskOnce(t.Context(), both)["app.test"]
	if words(got) != "10.0.0.1" || len(got.Refused) != 1 || got.Refused[0].Reason != "a loopback address" ||
		got.Reason != "" {
		t.Errorf("the record is %+v", got)
	}
}

// A long answer comes by TCP.
func TestLongAnswer(t *testing.T) {
	r, s := start(t, "")
	var records []string
	for i := range 100 {
		records = append(records, fmt.Sprintf("app.test. 30 A 10.0.0.%d", i+1))
	}
	s.set(dns.RcodeSuccess, records...)
	if got := r.AskOnce(t.Context(), both)["app.test"]; len(got.Addresses) != 100 || s.tcp.Load() == 0 {
		t.Errorf("%d addresses, %d questions by TCP", len(got.Addresses), s.tcp.Load())
	}
}

// An answer is cut to its lowest addresses.
func TestTooManyAddresses(t *testing.T) {
	r, s := start(t, "")
	var records []string
	for i := range maxReplied + 50 {
		records = append(records, fmt.Sprintf("app.test. 30 A 10.0.%d.%d", 10-i/200, i%200+1))
	}
	s.set(dns.RcodeSuccess, records...)
	got := r.AskOnce(t.Context(), both)["app.test"].Addresses
	if len(got) != maxReplied || got[0] != netip.MustParseAddr("10.0.9.1") {
		t.Errorf("%d addresses, the first one %s", len(got), got[0])
	}
}

// A reply to another question is none, even with the ID of the question.
func TestReplyToAnotherQuestion(t *testing.T) {
	r, s := start(t, "")
	s.set(dns.RcodeSuccess, "other.test. 30 A 10.0.0.1", "other.test. 30 AAAA 2001:db8::1")
	s.mu.Lock()
	s.replyTo = "other.test."
	s.mu.Unlock()
	got := r.AskOnce(t.Context(), both)["app.test"]
	if len(got.Addresses) > 0 || !strings.Contains(got.Reason, "the reply is to another question") {
		t.Errorf("the record is %+v", got)
	}
}

// The pauses between questions without an answer grow up to a bound, and an answer ends that.
func TestPausesAfterFailures(t *testing.T) {
	r, s := start(t, "")
	s.set(dns.RcodeServerFailure)
	r.AskOnce(t.Context(), both)
	n := r.names["app.test"]
	for want := time.Second; want <= 2*longestPause; want *= 2 {
		if n.pause != min(want, longestPause) {
			t.Errorf("the pause is %s, want %s", n.pause, min(want, longestPause))
		}
		again(t, r)
	}
	s.set(dns.RcodeSuccess, "app.test. 30 A 10.0.0.1")
	if again(t, r); n.pause != 0 {
		t.Errorf("after an answer the pause is %s", n.pause)
	}
}

// The file of hosts comes before DNS, and the search list of resolv.conf is not used.
func TestHostsFileAndSearch(t *testing.T) {
	r, s := start(t, "# a comment\n10.0.0.9 other App.Test # app.test\n2001:db8::9 app.test\n10.0.0.8 xapp.test\n")
	if got := r.AskOnce(t.Context(), both)["app.test"]; words(got) != "10.0.0.9 2001:db8::9" || s.asked.Load() != 0 {
		t.Errorf("%d questions give %+v", s.asked.Load(), got)
	}
	s.set(dns.RcodeNameError, "db.example.org. 30 A 10.0.0.1")
	got := r.AskOnce(t.Context(), map[string]Wanted{"db": {IP4: true}})["db"]
	if len(got.Addresses) > 0 || s.asked.Load() != 1 {
		t.Errorf("%d questions give %+v", s.asked.Load(), got)
	}
}

// TTLs have bounds: one of 0 does not ask without end, and one of a year is not believed.
func TestTTLBounds(t *testing.T) {
	for ttl, want := range map[int]time.Duration{0: leastTTL, 31536000: mostTTL} {
		r, s := start(t, "")
		s.set(dns.RcodeSuccess, fmt.Sprintf("app.test. %d A 10.0.0.1", ttl))
		r.AskOnce(t.Context(), both)
		if left := time.Until(r.names["app.test"].due); left > want || left < want-3*time.Second {
			t.Errorf("after a TTL of %d s the next question is in %s, not %s", ttl, left, want)
		}
	}
}

// Run asks again when an answer expires, and tells of the change. A silent server delays neither Want nor other names.
func TestRunFollowsChanges(t *testing.T) {
	r, s := start(t, "10.1.1.1 local.test\n")
	r.Least = 50 * time.Millisecond
	s.set(dns.RcodeSuccess, "app.test. 0 A 10.0.0.1")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	r.Want(both)
	await(t, r, "app.test", "10.0.0.1")
	s.set(dns.RcodeSuccess, "app.test. 0 A 10.0.0.2")
	await(t, r, "app.test", "10.0.0.2")
	s.mu.Lock()
	s.silent = true
	s.mu.Unlock()
	r.Want(map[string]Wanted{"app.test": {IP4: true, IP6: true}, "local.test": {IP4: true}})
	await(t, r, "local.test", "10.1.1.1")
	if got := r.Records()["app.test"]; words(got) != "10.0.0.2" {
		t.Errorf("while the server is silent the record is %+v", got)
	}
	stop()
	<-done
}

func await(t *testing.T, r *Resolver, host, want string) {
	t.Helper()
	for deadline := time.After(20 * time.Second); words(r.Records()[host]) != want; {
		select {
		case <-r.Changed():
		case <-deadline:
			t.Fatalf("%s has %+v, not %s", host, r.Records()[host], want)
		}
	}
}

// More hostnames than the bound are not asked for, and their records say so.
func TestTooManyNames(t *testing.T) {
	r, s := start(t, "")
	s.set(dns.RcodeSuccess)
	wanted := map[string]Wanted{}
	for i := range maxNames + 3 {
		wanted[fmt.Sprintf("h%04d.test", i)] = Wanted{IP4: true}
	}
	got := r.AskOnce(t.Context(), wanted)
	refused := slices.Collect(func(yield func(string) bool) {
		for host, record := range got {
			if strings.Contains(record.Reason, "more than 512 hostnames") && !yield(host) {
				return
			}
		}
	})
	if len(refused) != 3 || s.asked.Load() != maxNames {
		t.Errorf("%d names are refused, %d questions", len(refused), s.asked.Load())
	}
}

package packettest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFailedBackend: a backend is killed under 100 connections per second. Each connection that starts after the word
// of farmc health was loaded has another backend. Persistent clients and clients of UDP get another one, too.
func TestFailedBackend(t *testing.T) {
	t.Parallel()
	b := newChecked(t)
	must(t, steps{
		sameBackends{"persistent", "tcp", "192.0.2.2:80"},
		request{by: "udp", to: "192.0.2.1:80", shares: shares{"b1:8085": 1, "b2:8085": 1, "b3:8085": 1}, times: 60,
			sees: "balancer"},
	}.do(b.testbed))
	socket := b.udpSocketTo("b1")
	beside := b.startHAProxy()
	arrivals := startArrivals(b, "192.0.2.1:80")
	arrivals.await(20, func(one arrival) bool { return one.err == nil })
	killed := time.Now()
	b.server.Close()
	served := b.servedAgain(socket, "b1")
	b.awaitWord(true)
	word := b.wordTime()
	arrivals.await(20, func(one arrival) bool { return one.loaded })
	arrivals.stop("farmc", killed)
	must(t, arrivals.check(killed))
	if beside != nil {
		beside.stop("haproxy", killed)
	}
	wait := (<-served).Sub(word)
	t.Logf("the client of UDP was served again %s after the word", wait.Round(time.Millisecond))
	must(t, steps{
		request{by: "udp", to: "192.0.2.1:80", shares: shares{"b2:8085": 1, "b3:8085": 1}, sees: "balancer"},
		othersStay{"persistent", "b1", "192.0.2.2:80"},
	}.do(b.testbed))

	recovered := time.Now()
	b.serveAgain()
	b.awaitWord(false)
	t.Logf("back %s after the recovery", time.Since(recovered).Round(time.Millisecond))
	must(t, newClient{"b1", "192.0.2.1:80"}.do(b.testbed))
	b.end()
}

// TestCheckerStandsStill: nothing flaps if the checker is stopped and goes on, is killed and starts anew, or loses
// farmc watch; neither with healthy backends nor with one that failed.
func TestCheckerStandsStill(t *testing.T) {
	t.Parallel()
	b := newChecked(t)
	for _, failed := range []bool{false, true} {
		if failed {
			b.server.Close()
			b.awaitWord(true)
		}
		word := b.wordTime()
		said := strings.Count(b.checker.said.String(), " is ")
		must(t, b.checker.Process.Signal(syscall.SIGSTOP))
		time.Sleep(2 * time.Second)
		must(t, b.checker.Process.Signal(syscall.SIGCONT))
		b.sameWord("the checker was stopped", word)
		if n := strings.Count(b.checker.said.String(), " is "); n != said {
			t.Errorf("after a stop the checker says\n%s", b.checker.said.String())
		}
		must(t, b.checker.Process.Kill())
		b.checker.Wait()
		b.sameWord("the checker was killed", word)
		b.startChecker()
		b.sameWord("the checker started anew", word)
		must(t, b.watch.Process.Kill())
		b.watch.Wait()
		b.sameWord("farmc watch was killed", word)
		b.startWatch()
		b.sameWord("farmc watch started anew", word)
	}
	b.serveAgain()
	b.awaitWord(false)
	b.end()
}

// TestCheckerWithoutNetwork: the network of the checker alone is gone, so all backends fail at once. The farms panic:
// all backends serve, no connection fails, and the status says so first.
func TestCheckerWithoutNetwork(t *testing.T) {
	t.Parallel()
	b := newChecked(t)
	arrivals := startArrivals(b, "192.0.2.1:80")
	began := time.Now()
	must(t, runOn{"balancer", `nft add table inet block
		nft add chain inet block out { type filter hook output priority 0 ; }
		nft add rule inet block out ip daddr 10.2.0.0/24 tcp dport 8085 drop`}.do(b.testbed))
	b.awaitWords(false)
	time.Sleep(500 * time.Millisecond)
	if first, _, _ := strings.Cut(b.status(), "\n"); !strings.Contains(first, "panic") {
		t.Errorf("the status begins with %q", first)
	}
	must(t, request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:8085": 1, "b2:8085": 1, "b3:8085": 1}, times: 60,
		sees: "balancer"}.do(b.testbed))
	must(t, runOn{"balancer", "nft delete table inet block"}.do(b.testbed))
	b.awaitWords(true)
	arrivals.stop("farmc", began)
	for _, one := range arrivals.had {
		if one.err != nil {
			t.Fatalf("a connection failed %s after the network of the checker: %v", one.began.Sub(began), one.err)
		}
	}
	if text := b.status(); strings.Contains(text, "panic") {
		t.Errorf("the status is at the end\n%s", text)
	}
	b.end()
}

// sameWord watches the word about b1 for a second. The word of a time stays, without a load.
func (b *checked) sameWord(after string, word time.Time) {
	b.t.Helper()
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if now := b.wordTime(); !now.Equal(word) {
			b.t.Fatalf("%s: the word about b1 was loaded at %s, now at %s; the checker said\n%s", after, word, now,
				b.checker.said.String())
		}
	}
	must(b.t, b.kernelAgrees(!word.IsZero()))
}

// kernelAgrees returns an error if new connections go to b1 although it is out, or never go there although it is not.
func (b *checked) kernelAgrees(out bool) error {
	met := 0
	for range 40 {
		q := b.targets("", "tcp", "192.0.2.1:80")[0]
		answer, err := q.request(b.newClient(q.from, q.to.Addr()))
		if err != nil {
			return q.wrap(err)
		}
		if answer.Backend == "b1" {
			met++
		}
	}
	if out != (met == 0) {
		return fmt.Errorf("%d of 40 connections have backend b1, which is out: %t", met, out)
	}
	return nil
}

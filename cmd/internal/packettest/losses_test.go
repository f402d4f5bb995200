package packettest

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/preflight"
)

// Connections that connection tracking lost since a sample are a finding, and it ends when no more are lost. Here two
// ports serve for 300 connections to one backend.
func TestLossesAreFound(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	must(t, farms{"web": oneBackend("snat", listen1, "b1", 0)}.do(s))
	losses := func(since preflight.Losses) (found preflight.Findings) {
		must(t, s.Balancer.Do(func() error {
			all, err := s.engine.LoadedFarms()
			found = slices.DeleteFunc(preflight.Find(s.ctx, all, since), func(f preflight.Finding) bool {
				return f.Kind != "losses"
			})
			return err
		}))
		return found
	}
	sample := func() (l preflight.Losses) {
		must(t, s.Balancer.Do(func() error { l = preflight.SampleLosses(time.Now()); return nil }))
		return l
	}
	before := sample()
	if found := losses(before); before.At.IsZero() || len(found) > 0 {
		t.Fatalf("sample %+v, found %+v without losses", before, found)
	}
	lost := before
	lost.Failed, lost.Dropped = lost.Failed+1, lost.Dropped+1 // counters of another boot
	if found := losses(lost); len(found) > 0 {
		t.Errorf("found %+v after a boot", found)
	}
	must(t, nftScript(`table inet few {
		chain post {
			type nat hook postrouting priority srcnat - 50
			ip daddr 10.2.0.11 udp dport 80 masquerade to :20000-20001
		}
	}`).do(s))
	to := netip.MustParseAddrPort("192.0.2.1:80")
	for range 300 {
		conn, err := s.Client.Dial("udp4", s.newClient(s.Client, to.Addr()), to, time.Second)
		must(t, err)
		_, err = conn.Write([]byte("hello"))
		must(t, err)
		conn.Close()
	}
	found := losses(before)
	if len(found) != 1 || found[0].Object != "ports" ||
		!strings.Contains(found[0].Text(), "insert_failed) (farm web)") {
		t.Errorf("found %+v, counters %+v", found, sample())
	}
	if found := losses(sample()); len(found) > 0 {
		t.Errorf("found %+v after the losses", found)
	}
}

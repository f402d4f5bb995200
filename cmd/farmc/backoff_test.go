package main

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Rules are mended at once, but for somebody who takes them away whenever they are there.
func TestPeace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p backoff
		var pauses []time.Duration
		for range 11 {
			pause := p.hit(time.Now(), "iptables")
			pauses = append(pauses, pause)
			if kept := p.active("nft"); kept != (pause > 0) {
				t.Errorf("kept is %v in a pause of %v", kept, pause)
			}
			if pause > 0 {
				<-p.ended
				if by := p.end(); by != "nft" || p.active("nft") {
					t.Errorf("broken by %q, and kept on", by)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		const s = time.Second
		if want := []time.Duration{0, 0, 0, 0, 0, 5 * s, 10 * s, 20 * s, 40 * s, 60 * s, 60 * s}; !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
		time.Sleep(time.Hour)
		if pause := p.hit(time.Now(), "nft"); pause != 0 {
			t.Errorf("after an hour's peace it pauses for %v", pause)
		}
	})
}

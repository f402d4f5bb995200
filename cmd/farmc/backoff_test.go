package main

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// The first restores happen at once. If a program keeps removing the rules, pauses follow.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p backoff
		var pauses []time.Duration
		for range 11 {
			pause := p.hit(time.Now(), "iptables")
			pauses = append(pauses, pause)
			if active := p.active("nft"); active != (pause > 0) {
				t.Errorf("active is %v in a pause of %v", active, pause)
			}
			if pause > 0 {
				<-p.ended
				if by := p.end(); by != "nft" || p.active("nft") {
					t.Errorf("ended with %q, or is still active", by)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		const s = time.Second
		want := []time.Duration{0, 0, 0, 0, 0, 5 * s, 10 * s, 20 * s, 40 * s, 60 * s, 60 * s}
		if !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
		time.Sleep(time.Hour)
		if pause := p.hit(time.Now(), "nft"); pause != 0 {
			t.Errorf("after an hour without changes it pauses for %v", pause)
		}
	})
}

package clustertest

import (
	"errors"
	"os"
	"testing"
	"time"
)

// pairCases are losses of power of the active one of two balancers, in mode dnat.
var pairCases = []struct {
	name      string
	scheduler string
	reported  bool // by conntrackd
	most      int  // at most so many of 200 lost
	least     int
}{
	{name: "maglev", scheduler: "maglev", reported: true},
	{name: "random", scheduler: "random", reported: true, most: 10},
	{name: "random-without-conntrackd", scheduler: "random", most: all, least: 40},
}

// TestPair: keepalived moves addresses from a balancer without power to another one, and conntrackd its connections.
func TestPair(t *testing.T) {
	if os.Getenv("CLUSTER") == "" {
		t.Skip("takes a minute: make test-cluster")
	}
	farmc := buildFarmc(t)
	for _, c := range pairCases {
		t.Run(c.name, func(t *testing.T) {
			s := newPair(t, farmc, c.scheduler, c.reported)
			fs := &flows{stopped: make(chan struct{})}
			must(t, errors.Join(fs.open(s, 100, "tcp4", dnat), fs.open(s, 100, "tcp6", dnat)))
			fs.start()
			time.Sleep(before)
			must(t, s.Unplug(s.Balancers[0]))
			time.Sleep(after)
			fs.stop()
			got := fs.count(dnat, "tcp")
			t.Logf("%s", got)
			if got.lost > c.most || got.lost < c.least {
				t.Errorf("%d lost, want %d to %d", got.lost, c.least, c.most)
			}
		})
	}
}

package clustertest

import (
	"errors"
	"testing"
	"time"
)

// A pairCase is a loss of power of the active one of two balancers, in mode dnat.
type pairCase struct {
	name      string
	scheduler string
	reported  bool // by conntrackd
	speaks    bool // backends send first after the loss, and clients nothing
	most      int  // at most so many of 200 lost
	least     int
}

var pairCases = []pairCase{
	{name: "maglev", scheduler: "maglev", reported: true},
	{name: "random", scheduler: "random", reported: true, most: 10},
	{name: "maglev-backends-speak", scheduler: "maglev", reported: true, speaks: true},
	{name: "random-backends-speak", scheduler: "random", reported: true, speaks: true},
	{name: "random-without-conntrackd", scheduler: "random", most: 200, least: 40},
}

// TestPair: keepalived moves addresses from a balancer without power to another one, and conntrackd its connections.
// The control is a farm in mode snat without source-address: its connections have an address of the balancer that dies.
func TestPair(t *testing.T) {
	onlyInTestCluster(t)
	farmc := buildFarmc(t)
	for _, c := range pairCases {
		t.Run(c.name, func(t *testing.T) {
			s := newPair(t, farmc, c)
			fs := &flows{stopped: make(chan struct{})}
			must(t, errors.Join(fs.open(s, 100, "tcp4", dnat, snat), fs.open(s, 100, "tcp6", dnat, snat)))
			for _, f := range fs.all {
				f.listens = c.speaks && f.mode == dnat
			}
			fs.start()
			time.Sleep(before)
			if c.reported {
				s.awaitReported(len(fs.all))
			}
			must(t, s.Unplug(s.Balancers[0]))
			time.Sleep(after)
			fs.stop()
			got := fs.count(dnat, "tcp")
			t.Logf("%s", got)
			if got.lost > c.most || got.lost < c.least {
				t.Errorf("%d lost, want %d to %d", got.lost, c.least, c.most)
			}
			control := fs.count(snat, "tcp")
			t.Logf("snat: %s", control)
			if control.lost < 40 {
				t.Errorf("the control lost %d, want at least 40: no connection was moved", control.lost)
			}
		})
	}
}

package nft

import (
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRemovals: a transaction that deletes table inet farmc is told once, with its generation. None is told that makes
// the table anew, or that deletes another table.
func TestRemovals(t *testing.T) {
	nft, _ := realNft(t)
	removed := make(chan uint32, 10)
	if err := nft.Removals(t.Context(), func(generation uint32) { removed <- generation }); err != nil {
		t.Fatal(err)
	}
	var want []uint32
	for _, c := range []struct {
		script  string
		removes bool
	}{
		{farmcRules, false},
		{"delete table inet farmc\nadd table inet farmc", false},
		{"add table ip farmc\nadd table inet other", false},
		{"delete table ip farmc\ndelete table inet other\ndelete table netdev farmc", false},
		{"delete table inet farmc", true},
		{farmcRules, false},
		{"flush ruleset", true},
		{"add table inet other", false},
		{"flush ruleset", false},
	} {
		load(t, nft, []byte(c.script+"\n"))
		now, err := nft.Generation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.removes {
			want = append(want, now)
		}
	}
	load(t, nft, []byte("add table inet farmc\ndelete table inet farmc\nadd table inet farmc\n"))
	load(t, nft, []byte("delete table inet farmc\n")) // the last one: all others are told before
	last, err := nft.Generation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []uint32
	for len(got) == 0 || got[len(got)-1] != last {
		select {
		case generation := <-removed:
			got = append(got, generation)
		case <-time.After(10 * time.Second):
			t.Fatalf("the last removal is not told; told: %v", got)
		}
	}
	if want = append(want, last); !slices.Equal(got, want) {
		t.Errorf("removals %v, want %v", got, want)
	}
}

// TestRemovalsAreUrgent: as root one thread has real-time priority, and the calls come on it.
func TestRemovalsAreUrgent(t *testing.T) {
	nft, _ := realNft(t)
	policy := make(chan uint32, 1)
	err := nft.Removals(t.Context(), func(uint32) {
		attributes, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
			attributes = &unix.SchedAttr{}
		}
		policy <- attributes.Policy
	})
	if err != nil {
		t.Fatal(err)
	}
	load(t, nft, []byte("add table inet farmc\n"))
	load(t, nft, []byte("flush ruleset\n"))
	if got := <-policy; got != unix.SCHED_FIFO && os.Geteuid() == 0 {
		t.Errorf("policy %d, want SCHED_FIFO", got)
	}
}

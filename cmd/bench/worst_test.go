package main

import (
	"errors"
	"testing"
)

// TestWorstInputJudged: a measurement of a worst input fails for a missing fault, another one, a fault of an input that
// fits, and too much memory.
func TestWorstInputJudged(t *testing.T) {
	failed := errors.New("exit status 1")
	for _, test := range []struct {
		fault, faults string
		err           error
		right         bool
	}{
		{"slots", "more than 5 slots", failed, true},
		{"slots", "", nil, false},
		{"slots", "more than 5 backends", failed, false},
		{"slots", "killed", errors.New("signal: killed"), false},
		{"", "", nil, true},
		{"", "more than 5 slots", failed, false},
	} {
		if got := (worstInput{fault: test.fault}).judge(test.faults, test.err); (got == nil) != test.right {
			t.Errorf("fault %q, faults %q, %v: %v", test.fault, test.faults, test.err, got)
		}
	}
	if judgeMemory(cost{Memory: mostMemory}) != nil || judgeMemory(cost{Memory: mostMemory + 1}) == nil {
		t.Error("the bound on memory")
	}
}

package checker

import (
	"context"
	"time"
)

// A Prober runs a check once. It ends soon after ctx.
type Prober func(ctx context.Context) Result

// A Result is the result of a check.
type Result struct {
	Healthy bool
	Percent int // of the weight, 0 to 100
	Reason  string
	Took    time.Duration
}

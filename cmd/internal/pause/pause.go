// Package pause waits in loops that end with a context.
package pause

import (
	"context"
	"time"
)

// For waits for a duration, or until ctx is done.
func For(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

package checker

import (
	"context"
	"errors"
	"time"
)

// A Source knows the checks of farms.
type Source interface {
	// Checks returns the checks of all backends, or ErrSame if they did not change since the last call without error.
	Checks(ctx context.Context) ([]Check, error)
	// Present returns the verdicts about backends that are in force, as far as this checker has a word about them.
	Present(ctx context.Context, names []Name) (map[Name]Verdict, error)
}

// ErrSame says that no farm changed.
var ErrSame = errors.New("no farm changed")

// A Verdict is the verdict about a backend before its first check here.
type Verdict struct {
	Known   bool
	Healthy bool
	Percent int
	Reason  string
}

// lookShare bounds the part of the time that looks at the farms take: a 20th.
const lookShare = 20

// follow gives the checks of the farms to the loop whenever they change, until ctx is done.
func (c *Checker) follow(ctx context.Context, updates chan<- update) {
	known, failed, missing := map[Name]bool{}, false, false
	var checks []Check
	for {
		began := time.Now()
		now, err := c.Farms.Checks(ctx)
		if err == nil {
			checks, missing = now, true
		}
		if err == nil || errors.Is(err, ErrSame) {
			err = nil
			if missing {
				err = c.introduce(ctx, checks, known, updates)
				missing = err != nil
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failed {
			c.Log("the farms cannot be read; checks go on: %v", err)
		}
		if err == nil && failed {
			c.Log("the farms can be read again")
		}
		failed = err != nil
		if !sleep(ctx, nil, max(c.Poll, lookShare*time.Since(began))) {
			return
		}
	}
}

// introduce gives checks to the loop, with the present verdicts about new backends.
func (c *Checker) introduce(ctx context.Context, checks []Check, known map[Name]bool, updates chan<- update) error {
	var fresh []Name
	for _, check := range checks {
		if !known[check.Name] {
			fresh = append(fresh, check.Name)
		}
	}
	present, err := c.Farms.Present(ctx, fresh)
	if err != nil {
		return err
	}
	select {
	case updates <- update{checks, present}:
	case <-ctx.Done():
		return ctx.Err()
	}
	clear(known)
	for _, check := range checks {
		known[check.Name] = true
	}
	return nil
}

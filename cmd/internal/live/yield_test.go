package live

import (
	"context"
	"errors"
	"testing"
)

// A load stops the check in progress, and the check is run again after the load.
func TestChecksYieldToLoads(t *testing.T) {
	var y yielding
	runs, began := 0, make(chan struct{})
	answer := make(chan error)
	go func() {
		_, err := y.between(t.Context(), func(ctx context.Context) (TrialCheck, error) {
			if runs++; runs > 1 {
				return TrialCheck{}, nil
			}
			close(began)
			<-ctx.Done()
			return TrialCheck{}, ctx.Err()
		})
		answer <- err
	}()
	<-began
	end := y.Yield()
	select {
	case err := <-answer:
		t.Errorf("the check ended during the load: %v", err)
	default:
	}
	end()
	if err := <-answer; err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
}

func TestChecksDuringALoad(t *testing.T) {
	var y yielding
	end := y.Yield()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	never := func(context.Context) (TrialCheck, error) {
		t.Error("a check runs during a load")
		return TrialCheck{}, nil
	}
	if _, err := y.between(ctx, never); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	end()
	stopped := func(context.Context) (TrialCheck, error) {
		y.Yield()()
		return TrialCheck{}, context.Canceled
	}
	if _, err := y.between(t.Context(), stopped); !errors.Is(err, ErrBusy) {
		t.Errorf("a check that loads stop again and again: %v", err)
	}
	faulty := func(context.Context) (TrialCheck, error) { return TrialCheck{}, ErrFaulty }
	if _, err := y.between(t.Context(), faulty); !errors.Is(err, ErrFaulty) {
		t.Error(err)
	}
}

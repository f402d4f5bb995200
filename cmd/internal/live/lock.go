package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"farmc/cmd/internal/pause"
	"farmc/cmd/internal/permission"
	"farmc/compiler/diag"
)

// lock is Store.Lock with a check of the state directory. Untrusted files are an error, not faults of the farms: watch
// tries again until they are corrected.
func (e *Engine) lock(ctx context.Context, waiting func()) (release func(), err error) {
	diagnostics := e.checkStateDir()
	if !diagnostics.Faulty() {
		return e.lockFinished(ctx, waiting)
	}
	var words []string
	for _, d := range diagnostics {
		words = append(words, fmt.Sprintf("%s: %s; %s", d.Place, d.Message, d.Hint))
	}
	return nil, errors.New("state directory: " + strings.Join(words, "\n"))
}

// lockFinished locks the state directory, and ends the step that a killed farmc left.
func (e *Engine) lockFinished(ctx context.Context, waiting func()) (release func(), err error) {
	patient, done := withPatience(ctx, e.Patience)
	defer done()
	end, err := e.turn(patient, e.Patience)
	if err != nil {
		return nil, err
	}
	unlock, err := e.Store.Lock(patient, waiting)
	if err != nil {
		end()
		return nil, err
	}
	if err := e.finishWrites(ctx); err != nil {
		unlock()
		end()
		return nil, fmt.Errorf("end the write of an earlier farmc: %w", err)
	}
	return func() { unlock(); end() }, nil
}

// withPatience returns the context of a wait for the locks; 0: without a bound.
func withPatience(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	if patience == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, patience, noTurn(patience))
}

// noTurn is the ErrBusy of an operation that got no turn within its patience.
func noTurn(patience time.Duration) error {
	return fmt.Errorf("%w: there was no turn within %s", ErrBusy, patience)
}

// turn waits for other operations of the engine and its copies, with a patience until its end or that of ctx.
func (e *Engine) turn(ctx context.Context, patience time.Duration) (end func(), err error) {
	if patience == 0 {
		return e.exclusive(), nil
	}
	ctx, done := withPatience(ctx, patience)
	defer done()
	for mu := &e.memory().mu; ; pause.For(ctx, 5*time.Millisecond) {
		if mu.TryLock() {
			return mu.Unlock, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// checkStateDir checks the state directory, because farmc loads its files again.
func (e *Engine) checkStateDir() diag.Diagnostics { return permission.Dir(e.Store.Dir, e.Insecure) }

// newPermissions returns an empty collection. With Engine.Insecure its findings are warnings instead of faults.
func (e *Engine) newPermissions() *permission.Check { return permission.New(e.Insecure) }

// OpenTrusted opens a regular file for reading. If users other than root and the user of this process can write to the
// file, or to a directory on the way to it, that is an error; with Insecure it is not checked.
func (e *Engine) OpenTrusted(name string) (*os.File, error) { return permission.Open(name, e.Insecure) }

package main

import (
	"context"
	"errors"
	"time"

	"farmc/cmd/internal/checker"
	"farmc/cmd/internal/health"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
	"farmc/compiler/farm"
)

// localFarms are the farms and words of this process, for watch --health.
type localFarms struct {
	farms func() *live.Snapshot
	words *manage.Health

	last  *live.Snapshot
	known map[string]*farm.Farm // without faults
}

// snapshotPoll is the time between two looks at the snapshot, which cost nothing.
const snapshotPoll = 100 * time.Millisecond

// checkHealth checks backends until ctx is done.
func (s *apiServer) checkHealth(ctx context.Context) {
	farms := &localFarms{farms: s.reader.Current, words: s.server.Health}
	check := &checker.Checker{Farms: farms, Listen: farms, Log: s.always, Turned: s.logTurn, Poll: snapshotPoll}
	check.Run(ctx)
}

// Checks returns the checks of the farms in the last snapshot. A farm with faults keeps the checks that it had before.
func (l *localFarms) Checks(context.Context) ([]checker.Check, error) {
	now := l.farms()
	if now == nil || now == l.last {
		return nil, checker.ErrSame
	}
	known, farms := map[string]*farm.Farm{}, []*farm.Farm{}
	for _, r := range now.Readings {
		f := r.Farm()
		if f == nil || r.Faults().Faulty() {
			f = l.known[r.Name()]
		}
		if f != nil {
			known[r.Name()] = f
			farms = append(farms, f)
		}
	}
	l.last, l.known = now, known
	return checker.Of(farms), nil
}

// Present returns the words of this checker about backends.
func (l *localFarms) Present(_ context.Context, names []checker.Name) (map[checker.Name]checker.Verdict, error) {
	out, now := map[checker.Name]checker.Verdict{}, time.Now()
	for _, n := range names {
		record, err := l.words.Words(manage.Backend{Farm: n.Farm, Name: n.Backend}, now)
		if errors.Is(err, live.ErrNoSnapshot) {
			return nil, err
		}
		for _, w := range record.Words {
			if w.By == healthName {
				out[n] = checker.Verdict{Known: true, Healthy: w.Healthy, Percent: w.Percent, Reason: w.Reason}
			}
			if w.By == healthName && w.Lapsed(now) {
				out[n] = checker.Verdict{Known: true, Healthy: record.Verdict.Healthy, Percent: w.Percent,
					Reason: w.Reason}
			}
		}
	}
	return out, nil
}

// Say gives words to the health of this process.
func (l *localFarms) Say(ctx context.Context, words []checker.Word) (refused map[int]error, err error) {
	sayings, now := make([]manage.Saying, len(words)), time.Now()
	for i, w := range words {
		sayings[i] = manage.Saying{Backend: manage.Backend{Farm: w.Farm, Name: w.Backend}, Withdrawn: w.Withdrawn,
			Word: health.Word{By: healthName, Healthy: w.Healthy, Percent: w.Percent, Reason: w.Reason, For: w.For,
				Said: now, Took: w.Took, Next: w.Next, Late: w.Late, Flaps: w.Flaps}}
	}
	refused = map[int]error{}
	for i, o := range l.words.Say(ctx, healthName, sayings) {
		if o.Err != nil {
			refused[i] = o.Err
		}
	}
	return refused, nil
}

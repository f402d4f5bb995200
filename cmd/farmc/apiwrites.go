package main

import (
	"context"
	"strings"
	"time"

	"farmc/cmd/internal/live"
)

// Write changes files of farms and loads them, for a key of this name.
func (s *apiServer) Write(ctx context.Context, by string, change live.Write) live.WriteResult {
	change.By = "API: " + by
	r := s.queue.Write(ctx, change)
	if name := strings.TrimSuffix(change.Item, ".toml"); r.Err == nil && !change.DryRun && len(r.ChangesOf(name)) > 0 {
		s.log("API: %s: %s: %s", by, name, live.Abbreviate(r.ChangesOf(name)))
	}
	return r
}

// written gives the outcome of a round of writes to the readers.
func (s *apiServer) written(results []live.WriteResult) {
	s.watcher.engine.PublishAfter(s.reader, results)
	s.watcher.wake()
}

// Apply loads the files as farmc apply does.
func (s *apiServer) Apply(ctx context.Context, by string, confirm time.Duration) live.WriteResult {
	e := s.engineOf(by)
	if confirm == 0 {
		return s.outcome(live.NewResult(e.Apply(ctx)))
	}
	timer, err := s.startConfirmTimer(ctx)
	if err != nil {
		return live.WriteResult{Err: err}
	}
	defer timer.begin()
	return s.outcome(live.NewResult(e.Try(ctx, live.TrialRequest{Name: timer.trial, Timeout: confirm})))
}

// Confirm keeps the farms of a load on trial.
func (s *apiServer) Confirm(ctx context.Context, by string) error {
	err := s.engineOf(by).Confirm(ctx)
	if err == nil {
		s.log("API: %s confirmed the farms", by)
		s.view.Forget()
	}
	s.watcher.wake()
	return err
}

// DryConfirm returns the error that Confirm would return.
func (s *apiServer) DryConfirm(ctx context.Context) error { return s.engineOf("").DryConfirm(ctx) }

// DryRollback returns the outcome that Rollback would have.
func (s *apiServer) DryRollback(ctx context.Context, steps int) live.WriteResult {
	p, err := s.engineOf("").DryRollback(ctx, steps)
	return live.NewResult(p, nil, err)
}

// Rollback loads farms of an earlier load.
func (s *apiServer) Rollback(ctx context.Context, by string, steps int) live.WriteResult {
	p, err := s.engineOf(by).Rollback(ctx, steps)
	return s.outcome(live.NewResult(p, nil, err))
}

// engineOf returns the engine for a key. Faulty farms stay as they were if watch does so.
func (s *apiServer) engineOf(by string) *live.Engine {
	e := s.watcher.engine.For(s.log, "API: "+by, s.watcher.engine.Isolate)
	e.Patience = live.MaxQueued
	return e
}

// outcome gives the outcome of a load to the readers.
func (s *apiServer) outcome(r live.WriteResult) live.WriteResult {
	s.watcher.engine.Publish(s.reader, r.Plan, r.Diagnostics, r.Err)
	s.watcher.wake()
	return r
}

// WriteAll does several writes in one load, together with those that wait.
func (s *apiServer) WriteAll(ctx context.Context, by string, writes []live.Write) []live.WriteResult {
	for i := range writes {
		writes[i].By = "API: " + by
	}
	return s.queue.WriteAll(ctx, writes)
}

package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"farmc/cmd/internal/api"
	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/doctor"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/nft"
	"farmc/cmd/internal/overview"
	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/web"
)

// servePages adds the pages for browsers to a server of the API.
func (c *call) servePages(s *api.Server, keys *apikey.File) {
	s.Pages = web.New(s, keys, version, c.log)
}

// overlook has the server answer which farms have problems.
func (s *apiServer) overlook() {
	s.view = overview.New(s.reader)
	s.server.Overview, s.server.Examiner = s.view, &examiner{api: s}
}

// follow samples numbers and remembers changes until ctx is done.
func (s *apiServer) follow(ctx context.Context) {
	s.serving.Go(func() { s.view.Run(ctx) })
	s.serving.Go(func() { s.view.Follow(ctx, s.observer.stream) })
}

// examinePause is the least time between two examinations: they ask other machines.
const examinePause = 5 * time.Second

// An examiner does as farmc doctor for requests of the API. Requests at the same time have one answer.
type examiner struct {
	api *apiServer

	mu    sync.Mutex
	found preflight.Findings
	ended time.Time
}

// Examine returns everything on this machine that keeps the farms from working.
func (x *examiner) Examine(ctx context.Context) (preflight.Findings, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ended.IsZero() && time.Since(x.ended) < examinePause {
		return x.found, nil
	}
	now := x.api.reader.Current()
	if now == nil {
		return nil, live.ErrNoSnapshot
	}
	p := doctor.Patient{}
	if script := now.LoadedScript(); script != nil {
		p.Farms = script.Farms
	}
	c := x.api.call
	e := c.engine()
	if info, err := e.Store.StatLoaded(); err == nil {
		p.Loaded = info.ModTime()
	}
	version, err := nft.Nft{Path: c.nft, Limit: c.nftLimit}.Version(ctx)
	if err != nil {
		return nil, err
	}
	p.Nft = version
	doctor.Prompt(p.Farms)
	x.found = slices.Concat(e.Findings(ctx, p.Farms), doctor.Examine(ctx, p)).Causes(false)
	x.found.Sort()
	x.ended = time.Now()
	return x.found, nil
}

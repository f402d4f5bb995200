package live

import (
	"context"
	"errors"
	"time"

	"farmc/cmd/internal/announce"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// DefaultWithdrawDelay is the time in which routers take back an address before the rules for it go.
const DefaultWithdrawDelay = time.Second

// withdrawGone removes the routes to addresses that the plan's farms no longer announce, and waits until routers know.
// It returns these routes, for a load that fails.
func (e *Engine) withdrawGone(ctx context.Context, p *Plan) []announce.Route {
	if e.Routes == 0 || p.scriptOnly {
		return nil
	}
	held, err := e.Routes.Routes()
	gone := announce.Without(held, e.wantedRoutes(p.Script.Farms))
	if err := errors.Join(err, e.Routes.Remove(gone)); err != nil {
		e.Log("warning: an address may stay announced: %v", err)
	}
	if len(gone) == 0 {
		return nil
	}
	e.Log("no longer announced: %s", announce.Words(gone))
	select {
	case <-ctx.Done():
	case <-time.After(e.WithdrawDelay):
	}
	return gone
}

// announceAgain adds routes that were removed for a load that failed.
func (e *Engine) announceAgain(routes []announce.Route) {
	if len(routes) == 0 {
		return
	}
	if err := e.Routes.Add(routes); err != nil {
		e.Log("warning: an address is not announced again: %v", err)
		return
	}
	e.Log("announced again: %s", announce.Words(routes))
}

// announce keeps the routes of farms that the kernel has rules of.
func (e *Engine) announce(farms []*farm.Farm) {
	if e.Routes == 0 {
		return
	}
	held, err := e.Routes.Routes()
	wanted := e.wantedRoutes(farms)
	if len(held) > 0 {
		e.passReplies() // a watcher that was killed can have left its rules
	}
	gone, added := announce.Without(held, wanted), announce.Without(wanted, held)
	if err := errors.Join(err, e.Routes.Remove(gone), e.Routes.Add(added)); err != nil {
		e.Log("warning: addresses are not announced as the farms say: %v", err)
		return
	}
	if len(gone) > 0 {
		e.Log("no longer announced: %s", announce.Words(gone))
	}
	if len(added) > 0 {
		e.Log("announced: %s", announce.Words(added))
	}
}

// wantedRoutes returns the routes of farms; none during a withdrawal.
func (e *Engine) wantedRoutes(farms []*farm.Farm) []announce.Route {
	routes := announce.Routes(farms)
	if len(routes) == 0 {
		return nil
	}
	w, err := e.Store.Withdrawal()
	if err != nil {
		e.Log("warning: nothing is announced: %v", err)
	}
	if err != nil || w != nil {
		return nil
	}
	return routes
}

// WithdrawUnserved removes the routes to all addresses if the kernel lacks the rules of farmc.
func (e *Engine) WithdrawUnserved(ctx context.Context) error {
	if e.Routes == 0 {
		return nil
	}
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	e.withdrawUnserved(ctx)
	return nil
}

// withdrawUnserved removes all routes if the kernel lacks the rules of farmc after an apply that failed.
func (e *Engine) withdrawUnserved(ctx context.Context) {
	if e.Routes == 0 {
		return
	}
	digest, err := e.Nft.Loaded(ctx)
	if err != nil || digest != "" {
		return
	}
	held, err := e.Routes.Routes()
	if err := errors.Join(err, e.Routes.Remove(held)); err != nil {
		e.Log("warning: addresses stay announced without rules: %v", err)
	}
	if len(held) > 0 {
		e.Log("no longer announced, because the kernel has no rules: %s", announce.Words(held))
	}
}

// warnUnwatched warns of announced addresses that no process withdraws when they are no longer served, and of farms
// whose open connections no process counts.
func (e *Engine) warnUnwatched(farms []*farm.Farm) (out diag.Diagnostics) {
	if e.monitor != nil {
		return nil
	}
	announces, moves := e.Routes != 0 && len(announce.Routes(farms)) > 0, MovesSlots(farms)
	if !announces && !moves || e.Store.WatcherRuns() {
		return nil
	}
	warn := func(message string) {
		out = append(out, diag.Diagnostic{Severity: diag.Warning, Message: message,
			Hint: "systemctl start farmc-watch"})
	}
	if announces {
		warn("addresses stay announced if another program removes the rules: no farmc watch runs")
	}
	if moves {
		warn("scheduler least-connections acts like random, by weight: no farmc watch runs to count connections")
	}
	return out
}

// Withdraw removes the routes to all addresses that this machine announces, until Announce. Unless kept, the withdrawal
// ends with the boot, too. It returns the routes. Rules stay, so packets that still arrive are served.
func (e *Engine) Withdraw(ctx context.Context, keep bool) ([]announce.Route, error) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return nil, err
	}
	defer release()
	if err := e.Store.Withdraw(keep); err != nil {
		return nil, err
	}
	held, err := e.Routes.Routes()
	return held, errors.Join(err, e.Routes.Remove(held))
}

// ErrNotServed reports that the kernel does not have the rules of the last load.
var ErrNotServed = errors.New("nothing is announced: the kernel does not have the rules loaded last: run farmc apply")

// Announce ends a withdrawal, and announces the addresses of the farms that were loaded last. It returns the routes.
func (e *Engine) Announce(ctx context.Context) ([]announce.Route, error) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return nil, err
	}
	defer release()
	if err := e.Store.EndWithdrawal(); err != nil {
		return nil, err
	}
	last, err := e.Store.Loaded()
	if err != nil {
		return nil, err
	}
	rules, err := e.rules(ctx, last)
	if err != nil {
		return nil, err
	}
	if rules != RulesLoaded {
		return nil, ErrNotServed
	}
	c := e.compileKept(last.Digest)
	if c == nil {
		return nil, errUnknown
	}
	e.announce(c.script.Farms)
	return e.Routes.Routes()
}

// addAnnounced adds which addresses of farms are announced, and why others are not.
func (s *Status) addAnnounced(e *Engine, farms []*farm.Farm) error {
	byName := map[string]*farm.Farm{}
	for _, f := range farms {
		if f.Announce != farm.NotAnnounced {
			byName[f.Name] = f
		}
	}
	if e.Routes == 0 || len(byName) == 0 {
		return nil
	}
	held, err := e.Routes.Routes()
	if err != nil {
		return err
	}
	w, err := e.Store.Withdrawal()
	if err != nil {
		return err
	}
	for i := range s.Farms {
		if f := byName[s.Farms[i].Name]; f != nil {
			s.Farms[i].setAnnounced(f, held)
			if w != nil {
				s.Farms[i].Unannounced = "farmc withdraw ran at " + w.Time.Format(time.RFC3339)
			}
		}
	}
	return nil
}

// setAnnounced compares the addresses of a farm with the routes in the kernel.
func (s *FarmStatus) setAnnounced(f *farm.Farm, held []announce.Route) {
	wanted := f.Announced()
	missing := announce.Without(wanted, held)
	for _, r := range announce.Without(wanted, missing) {
		s.Announced = append(s.Announced, announce.Word(r))
	}
	switch {
	case f.Down:
		s.Unannounced = "the farm is down"
	case f.CutOff():
		s.Unannounced = "its interfaces do not exist"
	case len(wanted) == 0:
		s.Unannounced = "no backend takes connections"
	case len(missing) > 0:
		s.Unannounced = "the routing table lacks " + announce.Words(missing)
	}
}

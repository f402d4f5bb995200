package live

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"farmc/cmd/internal/nft"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// ErrNoBans says that a farm takes no bans now.
var ErrNoBans = errors.New("the farm takes no bans")

// A noBans is the reason of an ErrNoBans.
type noBans string

func (n noBans) Error() string        { return string(n) }
func (n noBans) Is(target error) bool { return target == ErrNoBans }

// A BanResult is the outcome of a ban.
type BanResult struct {
	Client   string // address, or prefix of an IPv6 client
	Duration time.Duration
	Before   time.Duration // time left of an earlier ban; 0: none
	Allowed  bool          // the farm's [access] allow admits the client in spite of the ban
}

// A BanRequest asks for the ban of a client from a farm, or for its end.
type BanRequest struct {
	Farm     string
	Client   netip.Prefix
	Duration time.Duration // of the ban; 0: the ban time of the farm's [limits]
	Patience time.Duration // longest wait for other operations, then the error is ErrBusy; 0: no bound
	DryRun   bool          // the result only: nothing changes
}

// Ban bans a client from a farm.
func (e *Engine) Ban(ctx context.Context, q BanRequest) (BanResult, error) {
	b := BanResult{Client: formatClient(q.Client), Duration: q.Duration}
	release, err := e.turn(ctx, q.Patience)
	if err != nil {
		return b, err
	}
	defer release()
	f, set, err := e.banSet(ctx, q.Farm, q.Client)
	if err != nil {
		return b, err
	}
	if q.Duration == 0 {
		b.Duration = f.Limits.Ban
	}
	b.Allowed = f.Allows(q.Client)
	if q.DryRun {
		b.Before, err = e.Nft.BanOf(ctx, set, q.Client.Addr())
		return b, err
	}
	if b.Before, err = e.Nft.Ban(ctx, set, q.Client.Addr(), b.Duration); err == nil {
		e.observer().Banned(BanReport{b, e.Cause, q.Farm})
	}
	return b, explainMissingSet(err, q.Farm)
}

// Unban ends a client's ban from a farm, and reports whether the client was banned.
func (e *Engine) Unban(ctx context.Context, q BanRequest) (bool, error) {
	release, err := e.turn(ctx, q.Patience)
	if err != nil {
		return false, err
	}
	defer release()
	_, set, err := e.banSet(ctx, q.Farm, q.Client)
	if err != nil {
		return false, err
	}
	if q.DryRun {
		left, err := e.Nft.BanOf(ctx, set, q.Client.Addr())
		return left > 0, err
	}
	was, err := e.Nft.Unban(ctx, set, q.Client.Addr())
	if was && err == nil {
		e.observer().Unbanned(BanReport{BanResult{Client: formatClient(q.Client)}, e.Cause, q.Farm})
	}
	return was, explainMissingSet(err, q.Farm)
}

// banSet returns the farm and its set of banned clients of the client's family.
func (e *Engine) banSet(ctx context.Context, name string, client netip.Prefix) (*farm.Farm, string, error) {
	last, c, err := e.lastLoaded()
	if err != nil {
		return nil, "", err
	}
	f, err := findFarm(c, name)
	if err != nil {
		return nil, "", worded(ErrNotLoaded, "%w", err)
	}
	family := addr.IP4
	if client.Addr().Is6() {
		family = addr.IP6
	}
	switch rules, err := e.rules(ctx, last); {
	case err != nil:
		return nil, "", err
	case !rules.countersValid():
		return nil, "", noBans("the kernel does not have the rules loaded last: run farmc apply")
	case f.Down:
		return nil, "", noBans(fmt.Sprintf("farm %s is down", name))
	case f.Limits.Ban == 0:
		return nil, "", noBans(fmt.Sprintf(
			"farm %s has no bans: set ban = \"10m\" in [limits] in its file or a drop-in, and run farmc apply", name))
	case !f.Listens(family):
		return nil, "", noBans(fmt.Sprintf("farm %s does not listen on %s", name, family))
	}
	return f, ruleset.BanSet(f.Name, family), nil
}

// explainMissingSet replaces nft.ErrNoSet by its likely cause.
func explainMissingSet(err error, name string) error {
	if errors.Is(err, nft.ErrNoSet) {
		return fmt.Errorf("the kernel lacks the bans of farm %s: the rules were changed; run farmc apply", name)
	}
	return err
}

package live

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"farmc/cmd/internal/nft"
	"farmc/compiler"
	"farmc/compiler/addr"
)

// A Banned is what became of a ban.
type BanResult struct {
	Client   string // as people write it
	Duration time.Duration
	Before   time.Duration // how long it was banned already; 0 if it wasn't
	Allowed  bool          // the farm's access lets it in all the same
}

// Ban shuts a client out of a farm for that long; 0 stands for the farm's own time.
func (e *Engine) Ban(ctx context.Context, farm string, client netip.Prefix, long time.Duration) (BanResult, error) {
	b := BanResult{Client: formatClient(client), Duration: long}
	f, set, err := e.banSet(ctx, farm, client)
	if err != nil {
		return b, err
	}
	if long == 0 {
		b.Duration = f.Limits.Ban
	}
	b.Allowed = f.Allows(client)
	b.Before, err = e.Nft.Ban(ctx, set, client.Addr(), b.Duration)
	return b, explainMissingSet(err, farm)
}

// Unban lets a client of a farm in again. It says whether it was banned.
func (e *Engine) Unban(ctx context.Context, farm string, client netip.Prefix) (bool, error) {
	_, set, err := e.banSet(ctx, farm, client)
	if err != nil {
		return false, err
	}
	was, err := e.Nft.Unban(ctx, set, client.Addr())
	return was, explainMissingSet(err, farm)
}

// banSet gives the farm, and the set of those whom it shuts out.
func (e *Engine) banSet(ctx context.Context, farm string, client netip.Prefix) (*compiler.Farm, string, error) {
	kept, c, err := e.lastLoaded()
	if err != nil {
		return nil, "", err
	}
	f, err := findFarm(c, farm)
	if err != nil {
		return nil, "", err
	}
	family := addr.IP4
	if client.Addr().Is6() {
		family = addr.IP6
	}
	switch rules, err := e.rules(ctx, kept); {
	case err != nil:
		return nil, "", err
	case !rules.countersValid():
		return nil, "", fmt.Errorf("the kernel does not hold what was loaded last: farmc apply")
	case f.Down:
		return nil, "", fmt.Errorf("%s is down: it serves nobody", farm)
	case f.Limits.Ban == 0:
		return nil, "", fmt.Errorf("%s bans nobody: it needs ban = \"10m\" in [limits], in its file or a drop-in, and farmc apply", farm)
	case !f.Listens(family):
		return nil, "", fmt.Errorf("%s does not listen on %s", farm, family)
	}
	return f, compiler.BanSet(f.Name, family), nil
}

func explainMissingSet(err error, farm string) error {
	if errors.Is(err, nft.ErrNoSet) {
		return fmt.Errorf("the kernel has no bans of %s: somebody has changed the rules; farmc apply", farm)
	}
	return err
}

package live

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"farmc/cmd/internal/conntrack"
	"farmc/cmd/internal/pause"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
	"farmc/compiler/flows"
)

// ErrStateEnded reports that the drop-in of a state was removed during AwaitIdle.
var ErrStateEnded = errors.New("the state of the backend was ended")

// AwaitIdle waits until no connection to a backend is open. Connections in the TCP states LAST_ACK, TIME_WAIT and CLOSE
// are over. Report is called with the number of open connections at each look, once a second.
func (e *Engine) AwaitIdle(ctx context.Context, p Plan, farm, backend string, report func(open int)) error {
	for {
		open, err := countOpen(ctx, p.Script.Farms, farm, backend)
		if err != nil {
			return err
		}
		report(open)
		if open == 0 {
			return nil
		}
		if !e.hasDropIn(source.StateDropIn(farm, backend)) {
			return ErrStateEnded
		}
		pause.For(ctx, time.Second)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func (e *Engine) hasDropIn(name string) bool {
	for _, d := range e.Dirs {
		if _, err := os.Lstat(filepath.Join(d.Path, name)); err == nil {
			return true
		}
	}
	return false
}

// countOpen counts the open connections to a backend.
func countOpen(ctx context.Context, farms []*farm.Farm, farm, backend string) (open int, err error) {
	err = eachConnection(ctx, farms, farm, backend, func(entry conntrack.Entry) {
		if !entry.Closed {
			open++
		}
	})
	return open, err
}

// eachConnection calls do with the conntrack entries of a backend. Of a hostname there is a backend for each address.
func eachConnection(
	ctx context.Context, farms []*farm.Farm, farm, backend string, do func(conntrack.Entry),
) (err error) {
	f := farmNamed(farms, farm)
	if f == nil {
		return nil
	}
	own := map[string]bool{}
	for _, b := range f.Named(backend) {
		own[b.Name] = true
	}
	owners := flows.NewOwners(farms)
	for _, filter := range backendFilters(f.Named(backend)) {
		err = errors.Join(err, conntrack.Dump(ctx, filter, func(entry conntrack.Entry) bool {
			if name, b, ok := owners.Backend(entry.Connection()); ok && name == farm && own[b] {
				do(entry)
			}
			return true
		}))
	}
	return err
}

// backendFilters returns a filter for each address of the backends. For IPv6 see filters.
func backendFilters(backends []*farm.Backend) (out []conntrack.Filter) {
	for _, b := range backends {
		for _, address := range b.Address {
			switch {
			case address.Is4():
				out = append(out, conntrack.Filter{Family: conntrack.IP4, ReplySource: address})
			case address != netip.Addr{}:
				out = append(out, conntrack.Filter{Family: conntrack.IP6})
			}
		}
	}
	slices.SortFunc(out, func(a, b conntrack.Filter) int { return a.ReplySource.Compare(b.ReplySource) })
	return slices.Compact(out) // several addresses of IPv6 are one filter
}

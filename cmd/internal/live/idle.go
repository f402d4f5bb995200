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
		pause(ctx, time.Second)
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
	census, own := flows.NewOwners(farms), backendSet(farms, farm, backend)
	for _, filter := range backendFilters(farms, farm, backend) {
		err = errors.Join(err, conntrack.Dump(ctx, filter, func(entry conntrack.Entry) bool {
			f, b, ok := census.Backend(connectionOf(entry))
			if ok && f == farm && own[b] && !entry.Closed {
				open++
			}
			return true
		}))
	}
	return open, err
}

// backendFilters returns a filter for each address of the backend. For IPv6 see filters.
func backendFilters(farms []*farm.Farm, farm, backend string) (out []conntrack.Filter) {
	for _, f := range farms {
		if f.Name != farm {
			continue
		}
		for _, b := range f.Named(backend) {
			for _, address := range b.Address {
				switch {
				case address.Is4():
					out = append(out, conntrack.Filter{Family: conntrack.IP4, ReplySource: address})
				case address != netip.Addr{}:
					out = append(out, conntrack.Filter{Family: conntrack.IP6})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b conntrack.Filter) int { return a.ReplySource.Compare(b.ReplySource) })
	return slices.Compact(out) // several addresses of IPv6 are one filter
}

// backendSet returns the names of the backends that a name stands for: of a hostname there is one for each address.
func backendSet(farms []*farm.Farm, farm, backend string) map[string]bool {
	out := map[string]bool{}
	for _, f := range farms {
		if f.Name == farm {
			for _, b := range f.Named(backend) {
				out[b.Name] = true
			}
		}
	}
	return out
}

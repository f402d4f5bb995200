package live

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"

	"farmc/cmd/internal/conntrack"
	"farmc/cmd/internal/explain"
	"farmc/cmd/internal/nft"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// MemoryOf returns what the kernel remembers about the client of a packet to a farm. After an error the rest of it is
// still there.
func (e *Engine) MemoryOf(ctx context.Context, f *farm.Farm, q explain.Question) (m explain.Memory, err error) {
	family := addr.FamilyOf(q.Service.Addr())
	if client := q.Client.Addr(); client.IsValid() && f.Limits.Ban > 0 {
		m.BanLeft, err = e.Nft.BanOf(ctx, ruleset.BanSet(f.Name, family), farm.Client(client).Addr())
	}
	for _, t := range ruleset.ClientTables(f) {
		key, known := t.KeyOf(q.Packet())
		if t.Family != family || !known {
			continue
		}
		err = errors.Join(err, e.Nft.MapElements(ctx, string(t.Table), t.Map, func(found nft.MapElement) {
			if bytes.Equal(found.Key, key) {
				m.Backend, m.Left = t.Backends[string(found.Value)], found.Left
			}
		}))
	}
	switch {
	case f.Mode.Untracked():
	case f.Zone == 0 && !limitsOpen(f):
		err = errors.Join(err, findConnection(f, q, &m))
	default:
		err = errors.Join(err, countOpenOf(ctx, f, q, &m))
	}
	return m, err
}

// limitsOpen reports whether the farm limits open connections.
func limitsOpen(f *farm.Farm) bool {
	return f.Limits.Connections > 0 || f.Limits.ConnectionsPerClient > 0 ||
		slices.ContainsFunc(f.Backends, func(b farm.Backend) bool { return b.Connections > 0 })
}

// findConnection finds the backend of the connection of the client's port.
func findConnection(f *farm.Farm, q explain.Question, m *explain.Memory) error {
	if q.Client.Port() == 0 {
		return nil
	}
	e, found, err := conntrack.Find(q.Protocol.Number(), q.Client, q.Service)
	if found && !e.Closed {
		m.Connected = backendAt(f, e.ReplySource)
	}
	return err
}

// countOpenOf counts the open connections of the farm, of its backends and of the client, and finds the one of the
// client's port.
func countOpenOf(ctx context.Context, f *farm.Farm, q explain.Question, m *explain.Memory) error {
	frontends := f.Frontends()
	client := farm.Client(q.Client.Addr())
	m.OpenBackends = map[string]int{}
	return conntrack.DumpAll(ctx, func(e conntrack.Entry) {
		if !isOf(e, frontends) || e.Closed {
			return
		}
		backend := backendAt(f, e.ReplySource)
		m.Open++
		m.OpenBackends[backend]++
		if !q.Client.Addr().IsValid() || !client.Contains(e.OriginalSource.Addr()) {
			return
		}
		m.OpenClient++
		if e.OriginalSource == q.Client && e.OriginalDestination == q.Service &&
			farm.ProtocolOf(e.Protocol) == q.Protocol {
			m.Connected = backend
		}
	})
}

// isOf reports whether a connection came by one of the frontends.
func isOf(e conntrack.Entry, frontends []farm.Frontend) bool {
	to := e.OriginalDestination
	for _, d := range frontends {
		if d.Takes(to.Addr(), !to.Addr().IsLoopback(), farm.ProtocolOf(e.Protocol), to.Port()) {
			return true
		}
	}
	return false
}

// backendAt returns the name of the backend that answers from an address.
func backendAt(f *farm.Farm, from netip.AddrPort) string {
	for _, b := range f.Backends {
		if b.Address[addr.FamilyOf(from.Addr())] == from.Addr() && (b.Port == 0 || b.Port == from.Port()) {
			return b.Name
		}
	}
	return ""
}

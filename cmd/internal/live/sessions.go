package live

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"time"

	"farmc/cmd/internal/nft"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// A Session is a persistent client, which the kernel remembers together with its backend. The fields that the farm does
// not remember clients by are empty.
type Session struct {
	Client      string  `json:"client"`      // address, or network if only a prefix counts; "": not known
	Port        uint16  `json:"port"`        // of the client
	Address     string  `json:"address"`     // that the client asked for
	AddressPort uint16  `json:"addressPort"` // that the client asked for
	MAC         string  `json:"mac"`         // of the client
	TargetMAC   string  `json:"targetMac"`   // that the client sent to
	Key         string  `json:"key"`         // hexadecimal; it names the session if the kernel has only a hash
	Backend     string  `json:"backend"`     // "": it is gone, so the next packet makes a new session
	Left        float64 `json:"left"`        // seconds until the session ends

	key []byte
	in  ruleset.ClientTable
}

// Sessions returns the persistent clients of a farm, sorted by client.
func (r *Reader) Sessions(ctx context.Context, name string) ([]Session, error) {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return nil, err
	}
	defer end()
	f, err := s.loadedFarm(name)
	if err != nil {
		return nil, err
	}
	out := []Session{}
	for _, t := range ruleset.ClientTables(f) {
		err := r.engine.Nft.MapElements(ctx, string(t.Table), t.Map, func(e nft.MapElement) {
			out = append(out, newSession(t, e))
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Key, b.Key))
	})
	return out, nil
}

// newSession reads an element. The kernel pads each field of a key to a multiple of four bytes.
func newSession(t ruleset.ClientTable, e nft.MapElement) Session {
	s := Session{Key: hex.EncodeToString(e.Key), Backend: t.Backends[string(e.Value)],
		Left: e.Left.Round(time.Millisecond).Seconds(), key: e.Key, in: t}
	rest := e.Key
	for _, field := range t.On {
		length := fieldLength(field, t.Family)
		if len(rest) < length {
			return s
		}
		s.set(field, rest[:length])
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return s
}

// fieldLength is the number of bytes of a field.
func fieldLength(field farm.HashKey, family addr.Family) int {
	switch field {
	case farm.SourceAddress, farm.DestinationAddress:
		return family.Width() / 8
	case farm.SourcePort, farm.DestinationPort:
		return 2
	}
	return 6
}

func (s *Session) set(field farm.HashKey, value []byte) {
	switch field {
	case farm.SourceAddress:
		s.Client = s.client(value)
	case farm.DestinationAddress:
		a, _ := netip.AddrFromSlice(value)
		s.Address = a.String()
	case farm.SourcePort:
		s.Port = binary.BigEndian.Uint16(value)
	case farm.DestinationPort:
		s.AddressPort = binary.BigEndian.Uint16(value)
	case farm.SourceMAC:
		s.MAC = net.HardwareAddr(value).String()
	case farm.DestinationMAC:
		s.TargetMAC = net.HardwareAddr(value).String()
	}
}

func (s *Session) client(value []byte) string {
	a, _ := netip.AddrFromSlice(value)
	p, err := a.Prefix(s.in.Prefix)
	if err != nil {
		return a.String()
	}
	return formatClient(p)
}

// Names reports whether a text names the session: its client, or its key.
func (s Session) Names(text string) bool {
	if s.Key == text || s.Client == text {
		return true
	}
	a, err := addr.ParseAddress(text)
	if err != nil || s.Client == "" {
		return false
	}
	p, err := netip.ParsePrefix(s.Client)
	return err == nil && p.Contains(a) || s.Client == a.String()
}

// EndSessions forgets persistent clients, and returns the number of sessions that were there. Their open connections go
// on; their next ones are scheduled anew.
func (r *Reader) EndSessions(ctx context.Context, sessions []Session) (ended int, err error) {
	for _, s := range sessions {
		was, err := r.engine.Nft.DeleteElement(ctx, string(s.in.Table), s.in.Map, s.key)
		if err != nil {
			return ended, err
		}
		if was {
			ended++
		}
	}
	return ended, nil
}

// EndAllSessions forgets all persistent clients of a farm.
func (r *Reader) EndAllSessions(ctx context.Context, name string) error {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return err
	}
	defer end()
	f, err := s.loadedFarm(name)
	if err != nil {
		return err
	}
	for _, t := range ruleset.ClientTables(f) {
		if err := r.engine.Nft.FlushMap(ctx, string(t.Table), t.Map); err != nil {
			return err
		}
	}
	return nil
}

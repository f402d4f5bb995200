package live

import (
	"slices"
	"sync"

	"farmc/cmd/internal/nft"
)

// A loadWindow is the interval of ruleset generations from before a load until the rules were recorded. One transaction
// in it is the load. A second one that touched farmc's tables comes from another program, and then the recorded rules
// can include its changes.
type loadWindow struct {
	begin uint32

	mu           sync.Mutex // observe runs in another goroutine
	finish       uint32
	ended        bool
	transactions []nft.Transaction // on farmc's tables, without farmc's own bans
}

// observe adds a transaction that touched farmc's tables.
func (s *loadWindow) observe(c nft.Transaction) {
	if s == nil || c.Lost || c.Program == "farmc" || !later(c.Generation, s.begin) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended || !later(c.Generation, s.finish) {
		s.transactions = append(s.transactions, c)
	}
}

// end closes the window at a generation.
func (s *loadWindow) end(to uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish, s.ended = to, true
	s.transactions = slices.DeleteFunc(s.transactions, func(c nft.Transaction) bool { return later(c.Generation, to) })
}

// foreign returns the transactions of the window if there is more than the load. Notifications can arrive late, so a
// later call can have another result.
func (s *loadWindow) foreign() []nft.Transaction {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended || len(s.transactions) < 2 {
		return nil
	}
	return slices.Clone(s.transactions)
}

// later compares generations, which wrap around.
func later(a, b uint32) bool { return int32(a-b) > 0 }

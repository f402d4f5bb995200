package statedir

import (
	"time"

	"farmc/cmd/internal/machine"
)

// A Withdrawal keeps addresses of farms from being announced, the content of withdrawn.json.
type Withdrawal struct {
	Time time.Time `json:"time"`
	Keep bool      `json:"keep"` // also after the next boot
	Boot string    `json:"boot"` // ID of the boot in which it began
}

// Withdrawal returns the withdrawal in force, or nil.
func (s Store) Withdrawal() (*Withdrawal, error) {
	var w *Withdrawal
	if err := s.ReadJSON(withdrawalFile, &w); err != nil || w == nil {
		return nil, err
	}
	if !w.Keep && !machine.IsThisBoot(w.Boot) {
		return nil, nil
	}
	return w, nil
}

// Withdraw begins a withdrawal, which ends with EndWithdrawal, or with the boot unless it is kept.
func (s Store) Withdraw(keep bool) error {
	return s.WriteJSON(withdrawalFile,
		Withdrawal{Time: time.Now().UTC().Truncate(time.Second), Keep: keep, Boot: machine.BootID()})
}

// EndWithdrawal ends a withdrawal, if there is one.
func (s Store) EndWithdrawal() error { return s.WriteJSON(withdrawalFile, nil) }

package statedir

import (
	"time"

	"farmc/cmd/internal/machine"
)

// A Trial is a load that waits to be confirmed, the content of trial.json. After its deadline the next farmc rolls it
// back.
type Trial struct {
	Name     string            `json:"name"`     // unique
	Tried    string            `json:"tried"`    // digest of the script on trial
	Sources  string            `json:"sources"`  // digest of its source files
	Items    map[string]string `json:"items"`    // digest of each farm and list
	Base     string            `json:"base"`     // digest of the script before the trial; "": none
	Deadline time.Duration     `json:"deadline"` // since the boot, sleep included; the wall clock can jump
	Boot     string            `json:"boot"`     // ID of that boot
}

// Trial returns the load that waits to be confirmed, or nil.
func (s Store) Trial() (*Trial, error) {
	var t *Trial
	if err := s.ReadJSON(TrialFile, &t); err != nil {
		return nil, err
	}
	return t, nil
}

// Left returns the time until the deadline. It is negative after the deadline and after a reboot.
func (t *Trial) Left() time.Duration {
	if !machine.IsThisBoot(t.Boot) {
		return -time.Second
	}
	return t.Deadline - machine.SinceBoot()
}

// Confirmed reports whether a finished trial was confirmed: its script is the last load, or the previous one if watch
// has loaded a later change since. A rollback leaves no previous load.
func (s Store) Confirmed(digest string) (bool, error) {
	last, err := s.Loaded()
	if err != nil || last.Digest == digest {
		return err == nil, err
	}
	previous, err := s.PreviousDigest() // renamed before loaded.nft
	return previous == digest, err
}

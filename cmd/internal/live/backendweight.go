package live

import (
	"fmt"
	"time"

	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// A WeightChange asks for a weight of a backend, by a drop-in of farmc's own. It is no edit: history and rollback leave
// it as it is.
type WeightChange struct {
	Farm, Backend string
	Weight        int           // 0: the drop-in is removed, so the weight is that of the other files
	For           time.Duration // a running watch ends the weight after this time; 0: no end
	Keep          bool          // in the first directory, which outlasts a reboot
}

// Write returns the write that adds or removes the drop-in for the weight.
func (change WeightChange) Write() Write {
	return Write{Item: change.Farm + ".toml", Part: change.Backend, Urgent: true, Check: change.check,
		Changes: func(files Files) ([]source.Change, error) {
			if _, err := files.farmWith(change.Farm, change.Backend); err != nil {
				return nil, err
			}
			return change.dropIn().changes(files)
		},
	}
}

func (change WeightChange) dropIn() ownSetting {
	s := ownSetting{name: source.WeightDropIn(change.Farm, change.Backend), keep: change.Keep, lasting: change.For,
		ends: stateDeadline{Farm: change.Farm, Backend: change.Backend, Weight: change.Weight}}
	if change.Weight != 0 {
		s.text = fmt.Sprintf("# Written by farmc for PUT /v1/farms/%s/backends/%s/weight.%s\n"+
			"%s\nweight = %d\n", change.Farm, change.Backend, until(change.For),
			toml.TableHeading("backends", change.Backend), change.Weight)
	}
	return s
}

// check returns why the backend does not have the weight, or nil.
func (change WeightChange) check(farms []*farm.Farm) error {
	b, err := writtenBackend(farms, change.Farm, change.Backend)
	if err == nil && change.Weight != 0 && b.Weight != change.Weight {
		return fmt.Errorf("backend %s has the weight %d: %w", change.Backend, b.Weight, ErrOtherState)
	}
	return err
}

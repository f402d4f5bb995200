package doctor

import (
	"fmt"
	"time"

	"farmc/cmd/internal/preflight"
)

// clock finds a clock that is behind the last load. Times of history, deadlines of states and health words, and
// certificates depend on it.
func clock(loaded, now time.Time) preflight.Findings {
	if loaded.IsZero() || !loaded.After(now.Add(time.Minute)) {
		return nil
	}
	return preflight.Findings{{Kind: "clock", Object: "time", Effect: preflight.Harms,
		Message: fmt.Sprintf("the clock says %s, and the last load was at %s: the clock was set back",
			now.Format(time.DateTime), loaded.Format(time.DateTime)),
		Commands: []string{"timedatectl set-ntp true"}, Advice: "timedatectl shows the state of the clock; if it is " +
			"right by now, the next change of a farm ends this"}}
}

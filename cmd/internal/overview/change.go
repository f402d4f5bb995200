package overview

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"farmc/cmd/internal/event"
)

// Limits of the memory of changes, and of an answer.
const (
	maxChanges  = 10_000
	maxAnswered = 200
)

// changes are the last changes of backends and farms, the oldest first.
type changes struct {
	mu  sync.Mutex
	all []Change
}

func (c *changes) add(more ...Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, more...)
	if excess := len(c.all) - maxChanges; excess > 0 {
		c.all = slices.Delete(c.all, 0, excess)
	}
}

// of returns the last changes of a farm, or of all if farm is "".
func (c *changes) of(farm string) []Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []Change{}
	for _, change := range slices.Backward(c.all) {
		if farm == "" || change.Farm == farm {
			out = append(out, change)
		}
		if len(out) == maxAnswered {
			break
		}
	}
	return out
}

// Follow remembers the changes that events tell, until ctx is done.
func (v *View) Follow(ctx context.Context, s *event.Stream) {
	for cursor := s.Follow(); ; {
		events, more := cursor.Take()
		for _, e := range events {
			v.changes.add(changesIn(e)...)
		}
		if !event.Wait(ctx, more, time.Hour) {
			return
		}
	}
}

// An eventData has the members of events that changes are made from.
type eventData struct {
	Time      time.Time `json:"time"`
	Cause     string    `json:"cause"`
	By        string    `json:"by"`
	Message   string    `json:"message"`
	Farm      string    `json:"farm"`
	Client    string    `json:"client"`
	Panic     bool      `json:"panic"`
	Unhealthy int       `json:"unhealthy"`
	Result    string    `json:"result"`
	Error     string    `json:"error"`
	Changes   []string  `json:"changes"`
	More      int       `json:"moreChanges"`
	Seconds   float64   `json:"seconds"`
	Backends  []struct {
		Farm    string `json:"farm"`
		Backend string `json:"backend"`
		State   string `json:"state"`
		Was     string `json:"stateBefore"`
		Weight  int    `json:"weight"`
		Had     int    `json:"weightBefore"`
		Healthy bool   `json:"healthy"`
		By      string `json:"by"`
		Reason  string `json:"reason"`
	} `json:"backends"`
}

// changesIn returns the changes that an event tells.
func changesIn(e event.Event) (out []Change) {
	var d eventData
	if json.Unmarshal(e.Data, &d) != nil {
		return nil
	}
	one := Change{Time: d.Time, Farm: d.Farm, Kind: string(e.Kind), By: d.Cause}
	switch e.Kind {
	case event.Backend:
		return d.turned(one)
	case event.Health:
		return d.judged(one)
	case event.Panic:
		one.Words, one.Worse = "the panic is over", d.Panic
		if d.Panic {
			one.Words = fmt.Sprintf("panic: %d backends are unhealthy, and all serve", d.Unhealthy)
		}
	case event.Ban:
		one.Words = fmt.Sprintf("%s is banned for %s", d.Client, time.Duration(d.Seconds)*time.Second)
	case event.Unban:
		one.Words = "the ban of " + d.Client + " has ended"
	case event.Tampering:
		one.Words, one.By, one.Worse = d.Message, d.By, true
	case event.Load:
		return d.loaded(one)
	default:
		return nil
	}
	return []Change{one}
}

// turned returns changes of states and weights.
func (d eventData) turned(of Change) (out []Change) {
	for _, b := range d.Backends {
		of.Farm, of.Backend = b.Farm, b.Backend
		of.Words = fmt.Sprintf("state %s, was %s", b.State, b.Was)
		if b.State == b.Was {
			of.Words = fmt.Sprintf("%d %% of its weight count, before %d %%", b.Weight, b.Had)
		}
		of.Worse = b.State != "up" || b.State == b.Was && b.Weight < b.Had
		out = append(out, of)
	}
	return out
}

// judged returns changes of health.
func (d eventData) judged(of Change) (out []Change) {
	for _, b := range d.Backends {
		of.Farm, of.Backend, of.By, of.Worse = b.Farm, b.Backend, b.By, !b.Healthy
		of.Words = map[bool]string{true: "healthy", false: "unhealthy"}[b.Healthy]
		if b.Reason != "" {
			of.Words += ": " + b.Reason
		}
		out = append(out, of)
	}
	return out
}

// stateChange is a change of a load that an event about backends tells, too.
var stateChange = regexp.MustCompile(`^[^:]+: backend \S+ state `)

// loaded returns the change by a load of farms, or by one that failed.
func (d eventData) loaded(of Change) []Change {
	edits := slices.DeleteFunc(d.Changes, stateChange.MatchString)
	switch {
	case d.Result == "failed":
		of.Words, of.Worse = "load failed: "+d.Error, true
	case len(edits) == 0:
		return nil
	case len(edits) == 1:
		of.Words = "loaded: " + edits[0]
	default:
		of.Words = fmt.Sprintf("loaded: %s, and %d more changes", edits[0], len(edits)-1+d.More)
	}
	return []Change{of}
}

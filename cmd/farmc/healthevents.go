package main

import (
	"fmt"
	"slices"

	"farmc/cmd/internal/event"
	"farmc/cmd/internal/manage"
)

// A healthEvent is a backend that became healthy or unhealthy.
type healthEvent struct {
	Farm    string `json:"farm"`
	Backend string `json:"backend"`
	Healthy bool   `json:"healthy"`
	By      string `json:"by"`     // checker that decided; "": its word ended
	Reason  string `json:"reason"` // of its word
}

// A panicEvent is a farm whose unhealthy backends begin to serve, or end.
type panicEvent struct {
	eventTime
	Farm      string `json:"farm"`
	Panic     bool   `json:"panic"`
	Unhealthy int    `json:"unhealthy"` // backends
}

// judged publishes new verdicts about backends. Steps of a slow start are in the events of backends alone.
func (s *apiServer) judged(all []manage.Judgements) {
	var turned []healthEvent
	for _, of := range all {
		if of.Panic != of.WasPanic {
			s.observer.stream.Publish(event.Panic, panicEvent{now(), of.Farm, of.Panic, of.Unhealthy})
			s.log("%s", panicWords(of))
		}
		for _, b := range of.Backends {
			if b.Verdict.Healthy != b.Was.Healthy {
				turned = append(turned, newHealthEvent(of.Farm, b))
			}
		}
	}
	s.logTurned(turned)
	if some, more := bounded(turned); len(some) > 0 {
		s.observer.stream.Publish(event.Health, struct {
			eventTime
			Backends []healthEvent `json:"backends"`
			More     int           `json:"moreBackends"`
		}{now(), some, more})
	}
}

// logTurned logs backends that other checkers than the one of this process have turned, which logs its own ones.
func (s *apiServer) logTurned(all []healthEvent) {
	all = slices.DeleteFunc(slices.Clone(all), func(e healthEvent) bool { return e.By == healthName })
	for _, e := range all[:min(len(all), maxLoggedTurns)] {
		s.log("health: %s", e)
	}
	if more := len(all) - maxLoggedTurns; more > 0 {
		s.log("health: %d more backends", more)
	}
}

// maxLoggedTurns is the number of backends of one load that the log names.
const maxLoggedTurns = 10

// String is the event in words, such as "web b1 unhealthy by c1: connection refused".
func (e healthEvent) String() string {
	words := e.Farm + " " + e.Backend + map[bool]string{true: " healthy", false: " unhealthy"}[e.Healthy]
	if e.By != "" {
		words += " by " + e.By
	}
	if e.Reason != "" {
		words += ": " + e.Reason
	}
	return words
}

func newHealthEvent(farm string, b manage.Judged) healthEvent {
	e := healthEvent{Farm: farm, Backend: b.Name, Healthy: b.Verdict.Healthy}
	if word := b.Deciding(); word != nil {
		e.By, e.Reason = word.By, word.Reason
	}
	return e
}

// panicWords is the line of the log for the begin or the end of a panic.
func panicWords(of manage.Judgements) string {
	if of.Panic {
		return fmt.Sprintf("%s: panic: %d backends are unhealthy, and all serve, because too few are healthy", of.Farm,
			of.Unhealthy)
	}
	return of.Farm + ": the panic is over: unhealthy backends serve no longer"
}

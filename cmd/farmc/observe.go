package main

import (
	"slices"
	"time"

	"farmc/cmd/internal/event"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
	"farmc/cmd/internal/metrics"
)

// An observer counts the work of the engine of watch, and publishes it as events. farmc-api(7) describes them.
type observer struct {
	stream  *event.Stream
	metrics *metrics.Metrics
	faults  []live.FarmFault // that were published last
}

// maxEventItems is the number of items in one event.
const maxEventItems = 100

// An eventTime is the first member of each event.
type eventTime struct {
	Time time.Time `json:"time"`
}

func now() eventTime { return eventTime{time.Now().UTC().Truncate(time.Millisecond)} }

// A loadEvent is a load, or an attempt that failed.
type loadEvent struct {
	eventTime
	Cause  string `json:"cause"`
	Result string `json:"result"` // ok or failed
	Error  string `json:"error"`  // also of a load that was not recorded; "": none
	Way    string `json:"way"`
	Reason string `json:"reason"` // why all rules were loaded anew; "": no reason
	Farms  int    `json:"farms"`  // loaded ones

	Changes     []string           `json:"changes"` // a sentence each
	MoreChanges int                `json:"moreChanges"`
	Cut         int                `json:"cutConnections"`
	OnTrial     bool               `json:"onTrial"` // the load waits to be confirmed
	Took        float64            `json:"took"`    // seconds
	Stages      map[string]float64 `json:"stages"`  // seconds of each part
}

// Loaded publishes a load, and changes of backends by it.
func (o *observer) Loaded(r live.LoadReport) {
	o.metrics.Loaded(r)
	e := loadEvent{eventTime: now(), Cause: r.Cause, Result: "ok", Way: r.Way(), Reason: r.Reason,
		Farms: len(r.Script.Farms), Cut: r.CutConnections, OnTrial: r.OnTrial, Took: r.Stages.Total().Seconds(),
		Stages: map[string]float64{}}
	e.Changes, e.MoreChanges = bounded(r.Changes)
	if r.Err != nil {
		e.Error = oneLine(r.Err.Error())
	}
	for stage, took := range r.Stages.All() {
		e.Stages[stage] = took.Seconds()
	}
	if r.Failed() {
		e.Result = "failed"
	}
	o.stream.Publish(event.Load, e)
	if turns, more := bounded(r.Turns()); len(turns) > 0 && !r.Failed() {
		o.stream.Publish(event.Backend, struct {
			eventTime
			Cause    string      `json:"cause"`
			Backends []live.Turn `json:"backends"`
			More     int         `json:"moreBackends"`
		}{e.eventTime, r.Cause, turns, more})
	}
}

// bounded returns the first items, and the number of the others. No items are [] in JSON.
func bounded[T any](items []T) (first []T, more int) {
	n := min(len(items), maxEventItems)
	return append([]T{}, items[:n]...), len(items) - n
}

// Looked publishes findings that appeared or ended.
func (o *observer) Looked(l live.Look) {
	for _, f := range l.Appeared[:min(len(l.Appeared), maxEventItems)] {
		farms, _ := bounded(f.Farms)
		o.stream.Publish(event.Finding, struct {
			eventTime
			Kind     string   `json:"kind"`
			Object   string   `json:"object"`
			Farms    []string `json:"farms"` // empty: all
			Effect   string   `json:"effect"`
			Message  string   `json:"message"`
			Commands []string `json:"commands"`
			Advice   string   `json:"advice"`
		}{now(), f.Kind, f.Object, farms, string(f.Effect), f.Message, append([]string{}, f.Commands...), f.Advice})
	}
	for _, ended := range l.Ended[:min(len(l.Ended), maxEventItems)] {
		o.stream.Publish(event.FindingEnded, struct {
			eventTime
			Message string `json:"message"`
		}{now(), ended.Text})
	}
}

// A banEvent is a ban or its end.
type banEvent struct {
	eventTime
	Cause   string   `json:"cause"`
	Farm    string   `json:"farm"`
	Client  string   `json:"client"`
	Seconds *float64 `json:"seconds,omitempty"` // of a ban
}

// Banned publishes a ban by a command or a request. Bans by limits are work of the kernel, which tells nothing of them.
func (o *observer) Banned(b live.BanReport) {
	seconds := b.Duration.Seconds()
	o.stream.Publish(event.Ban, banEvent{now(), b.Cause, b.Farm, b.Client, &seconds})
}

// Unbanned publishes the end of a ban by a command or a request.
func (o *observer) Unbanned(b live.BanReport) {
	o.stream.Publish(event.Unban, banEvent{now(), b.Cause, b.Farm, b.Client, nil})
}

// tampered publishes a change of the rules by another program.
func (s *apiServer) tampered(by, wrong string) {
	if s == nil {
		return
	}
	o := s.observer
	o.metrics.Tampered()
	o.stream.Publish(event.Tampering, struct {
		eventTime
		By      string `json:"by"`
		Message string `json:"message"`
	}{now(), oneLine(by), oneLine(wrong)})
}

// looked publishes the faults of the files if they are others than at the last call.
func (o *observer) looked(s *live.Snapshot) {
	if s == nil {
		return
	}
	faults := s.AllFaults()
	if slices.Equal(faults, o.faults) {
		return
	}
	o.faults = faults
	some, more := bounded(faults)
	o.stream.Publish(event.Faults, struct {
		eventTime
		Faults []live.FarmFault `json:"faults"`
		More   int              `json:"moreFaults"`
	}{now(), some, more})
}

// observe has an observer follow the engine of the API, and serves its events and metrics.
func (s *apiServer) observe(e *live.Engine) {
	s.observer = &observer{stream: event.NewStream(event.DefaultLength),
		metrics: metrics.New(version, s.reader.Measures)}
	e.Observer = s.observer
	s.server.Health.Heard = func(w manage.Saying) { s.observer.metrics.HealthChecked(w.Farm, w.Name, w.Word) }
	s.server.Health.Judged = s.judged
	e.Records = s.server.Health.Records
	s.reader.Remember(e.Records)
	s.server.Events, s.server.Meter = s.observer.stream, s.observer.metrics
}

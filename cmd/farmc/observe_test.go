package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"farmc/cmd/internal/event"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/metrics"
	"farmc/cmd/internal/preflight"
	"farmc/compiler/ruleset"
)

// published returns the kinds and the data of the events that an observer publishes in do.
func published(t *testing.T, do func(o *observer)) (kinds []event.Kind, data []map[string]any) {
	t.Helper()
	o := &observer{stream: event.NewStream(1000), metrics: metrics.New("1", nil)}
	cursor := o.stream.Follow()
	do(o)
	events, _ := cursor.Take()
	for _, e := range events {
		kinds = append(kinds, e.Kind)
		var d map[string]any
		if err := json.Unmarshal(e.Data, &d); err != nil {
			t.Fatal(err)
		}
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(d["time"])); err != nil || time.Since(at) > time.Minute {
			t.Errorf("the time of %s is %v", e.Kind, d["time"])
		}
		data = append(data, d)
	}
	return kinds, data
}

func TestFailedLoadEvent(t *testing.T) {
	r := live.LoadReport{Cause: "API: ops", Err: fmt.Errorf("nft:\nno memory\x1b[31m")}
	r.Script, r.Strategy = &ruleset.Script{}, live.Complete
	kinds, data := published(t, func(o *observer) { o.Loaded(r) })
	if len(kinds) != 1 || kinds[0] != event.Load || data[0]["result"] != "failed" || data[0]["way"] != "complete" ||
		data[0]["cause"] != "API: ops" || data[0]["error"] != "nft:; no memory\ufffd[31m" {
		t.Errorf("%v %v", kinds, data)
	}
	r.Err = fmt.Errorf("%w: full", live.ErrUnkept)
	if _, data := published(t, func(o *observer) { o.Loaded(r) }); data[0]["result"] != "ok" || data[0]["error"] == "" {
		t.Errorf("a load that was not kept: %v", data)
	}
}

// An event is bounded, and tells how much it leaves out.
func TestLargeLoadEvent(t *testing.T) {
	r := live.LoadReport{}
	r.Script = &ruleset.Script{}
	for i := range 10_000 {
		r.Changes = append(r.Changes, fmt.Sprintf("farm%d: new", i))
	}
	_, data := published(t, func(o *observer) { o.Loaded(r) })
	changes := data[0]["changes"].([]any)
	if len(changes) != 100 || changes[99] != "farm99: new" || data[0]["moreChanges"] != 9900.0 {
		t.Errorf("%d changes, %v more", len(changes), data[0]["moreChanges"])
	}
}

func TestFindingEvents(t *testing.T) {
	l := live.Look{Appeared: preflight.Findings{{Kind: "forwarding", Object: "ip4", Effect: preflight.Stops,
		Message: "IPv4 is not forwarded", Commands: []string{"sysctl -w net.ipv4.ip_forward=1"}}},
		Ended: []preflight.Ended{{Kind: "drop", Text: "an old one"}}}
	kinds, data := published(t, func(o *observer) { o.Looked(l) })
	if fmt.Sprint(kinds) != "[finding finding-ended]" || data[0]["effect"] != "stops" ||
		fmt.Sprint(data[0]["farms"]) != "[]" || data[1]["message"] != "an old one" {
		t.Errorf("%v %v", kinds, data)
	}
}

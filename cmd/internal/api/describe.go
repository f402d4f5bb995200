package api

import "farmc/cmd/internal/live"

// descriptions returns what GET /v1/openapi.json tells of each route, by its method and path. A test fails for a route
// without a description, and validates every reply of the tests against it.
func descriptions() map[string]description {
	return map[string]description{
		"GET " + healthPath: {summary: "Does the process answer requests?", reply: healthReply{}},
		"GET /v1/farms": {summary: "All farms", query: []parameter{selectParameter}, reply: struct {
			Farms []map[string]any `json:"farms"`
		}{}},
		"GET /v1/farms/{farm}":                    {summary: "A farm", reply: farmAnswer{}, etag: true},
		"GET /v1/farms/{farm}/backends/{backend}": {summary: "A backend", reply: backendAnswer{}, etag: true},
		"GET /v1/farms/{farm}/bans": {summary: "The banned clients of a farm", reply: struct {
			Bans []live.BanStatus `json:"bans"`
		}{}},
		"GET /v1/farms/{farm}/bans/{address}": {summary: "A banned client", reply: live.BanStatus{}},
		"GET /v1/lists": {summary: "The names of all lists", reply: struct {
			Lists []string `json:"lists"`
		}{}},
		"GET /v1/lists/{list}": {summary: "The entries of a list; with Accept: text/plain its file", etag: true,
			reply: struct {
				Name    string   `json:"name"`
				Source  string   `json:"source"`
				Entries []string `json:"entries"`
			}{}},
		"GET /v1/status": {summary: "The state of all farms, as farmc status --json", reply: live.Status{}},
		"GET /v1/script": {summary: "The script of the files for this machine", kind: "text/plain", etag: true},
		"GET /v1/diff":   {summary: "The changes that apply would make", reply: live.Difference{}},
		"GET /v1/history": {summary: "The last loads", reply: struct {
			Loads []live.HistoryEntry `json:"loads"`
		}{}},
		"POST /v1/check": {summary: "Would these farms load? Changes nothing", reply: live.TrialCheck{}, body: struct {
			Farms map[string]any `json:"farms"`
		}{}},
		"PUT /v1/farms/{farm}":    changing("Create or replace a farm", map[string]any{}, 201),
		"PATCH /v1/farms/{farm}":  changing("Change keys of a farm: a JSON merge patch", map[string]any{}, 200),
		"DELETE /v1/farms/{farm}": changing("Delete a farm", nil, 200),
		"PUT /v1/farms/{farm}/backends/{backend}": changing("Create or replace a backend of a farm",
			map[string]any{}, 201),
		"PATCH /v1/farms/{farm}/backends/{backend}": changing("Change keys of a backend: a JSON merge patch",
			map[string]any{}, 200),
		"DELETE /v1/farms/{farm}/backends/{backend}": changing("Delete a backend", nil, 200),
		"POST /v1/apply": {summary: "Load the files; with confirm on trial", query: []parameter{dryRunParameter},
			body: struct {
				Confirm string `json:"confirm,omitempty"`
			}{}, optional: true, reply: applyAnswer{}},
		"POST /v1/confirm": {summary: "Keep the farms of a load on trial", status: 204},
		"POST /v1/rollback": {summary: "Load the farms of an earlier load, and hold the changed ones", body: struct {
			Steps int `json:"steps,omitempty"`
		}{}, optional: true, reply: applyAnswer{}},
		"GET " + eventsPath: {summary: "Server-sent events: loads, backends, faults, tampering, bans, findings",
			kind: "text/event-stream"},
		"GET /metrics":         {summary: "Numbers of farms and loads for Prometheus", kind: "text/plain"},
		"GET /v1/openapi.json": {summary: "This document", reply: map[string]any{}, etag: true},
	}
}

// changing describes a request that changes a farm.
func changing(summary string, body any, status int) description {
	return description{summary: summary, query: []parameter{dryRunParameter}, body: body, reply: writeAnswer{},
		status: status}
}

type healthReply struct {
	Status string `json:"status"`
}

var dryRunParameter = parameter{"dry-run", "the reply alone: nothing changes"}

var selectParameter = parameter{"select", "name, farm, sources, loaded, faults or keys of farms, with commas between"}

package api

import (
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/overview"
	"farmc/cmd/internal/statedir"
)

// descriptions returns what GET /v1/openapi.json tells of each route, by its method and path. A test fails for a route
// without a description, and validates every reply of the tests against it.
func descriptions() map[string]description {
	dryRun := []parameter{{"dry-run", "only tells the changes"}}
	sessionsAnswer := struct {
		Sessions []live.Session `json:"sessions"`
	}{}
	return map[string]description{
		"GET " + healthPath: {summary: "Does the process answer requests?", reply: healthReply{}},
		"GET /v1/farms": {summary: "All farms", query: []parameter{selectParameter}, etag: true, reply: struct {
			Farms []map[string]any `json:"farms"`
		}{}},
		"GET /v1/farms/{farm}":                    {summary: "A farm", reply: farmAnswer{}, etag: true},
		"GET /v1/farms/{farm}/graph":              {summary: "The picture of a farm", kind: svgType},
		"GET /v1/farms/{farm}/backends/{backend}": {summary: "A backend", reply: backendAnswer{}, etag: true},
		"GET /v1/farms/{farm}/backends/{backend}/state": {summary: "The state of a backend", reply: live.BackendNow{},
			query: []parameter{{"wait", "drained: the answer comes when no connection is open"},
				{"timeout", "of the wait, such as 60s"}}},
		"PUT /v1/farms/{farm}/backends/{backend}/state": {summary: "Drains a backend, takes it out, or ends that",
			query: dryRun, reply: stateAnswer{}, body: struct {
				State string `json:"state"`
				For   string `json:"for,omitempty"`
				Keep  bool   `json:"keep,omitempty"`
				Cut   bool   `json:"cut,omitempty"`
			}{}},
		"PUT /v1/farms/{farm}/backends/{backend}/weight": {summary: "Sets the weight of a backend; null ends that",
			query: dryRun, reply: writeAnswer{}, body: struct {
				Weight *int   `json:"weight"`
				For    string `json:"for,omitempty"`
				Keep   bool   `json:"keep,omitempty"`
			}{}},
		"GET /v1/farms/{farm}/backends/{backend}/health": {summary: "The words of health checkers about a backend",
			reply: wordsAnswer{}},
		"PUT /v1/farms/{farm}/backends/{backend}/health": {summary: "A word of a health checker", query: dryRun,
			reply: writeAnswer{}, body: wordBody{}},
		"DELETE /v1/farms/{farm}/backends/{backend}/health": {summary: "Takes back words of health checkers",
			query: append([]parameter{{"by", "the checker; without it all"}}, dryRun...), reply: writeAnswer{}},
		"PUT /v1/health": {summary: "Words of health checkers about many backends, in one load", reply: healthAnswer{},
			query: dryRun, body: struct {
				Words []struct {
					Farm    string `json:"farm"`
					Backend string `json:"backend"`
					wordBody
				} `json:"words"`
			}{}},
		"GET /v1/farms/{farm}/bans": {summary: "The banned clients of a farm", reply: struct {
			Bans []live.BanStatus `json:"bans"`
		}{}},
		"GET /v1/farms/{farm}/bans/{address}": {summary: "A banned client", reply: live.BanStatus{}},
		"PUT /v1/farms/{farm}/bans/{address}": {summary: "Bans a client", query: dryRun, reply: banAnswer{},
			body: struct {
				For string `json:"for,omitempty"`
			}{}},
		"DELETE /v1/farms/{farm}/bans/{address}": {summary: "Ends the ban of a client", query: dryRun,
			reply: writeAnswer{}},
		"GET /v1/farms/{farm}/sessions": {summary: "The persistent clients", reply: sessionsAnswer},
		"DELETE /v1/farms/{farm}/sessions": {summary: "Forgets all persistent clients", query: dryRun,
			reply: writeAnswer{}},
		"GET /v1/farms/{farm}/sessions/{client}": {summary: "The sessions of a client", reply: sessionsAnswer},
		"DELETE /v1/farms/{farm}/sessions/{client}": {summary: "Forgets a persistent client", query: dryRun,
			reply: writeAnswer{}},
		"PUT /v1/lists/{list}": {summary: "Creates or replaces a list, by JSON or text/plain", query: dryRun,
			reply: writeAnswer{}, body: listBody{}},
		"DELETE /v1/lists/{list}": {summary: "Deletes a list that no farm uses", query: dryRun, reply: writeAnswer{}},
		"POST /v1/lists/{list}/entries": {summary: "Adds entries to a list, by JSON or text/plain", query: dryRun,
			reply: writeAnswer{}, body: listBody{}},
		"DELETE /v1/lists/{list}/entries": {summary: "Removes entries of a list, by JSON or text/plain",
			query: dryRun, reply: writeAnswer{}, body: listBody{}},
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
		"GET /v1/script/lines": {summary: "Lines of the script, with the files that they come from",
			reply: scriptAnswer{}, query: []parameter{{"from", "number of the first line; without it the farm's first"},
				{"count", "number of lines, at most 500"}, {"farm", "whose lines are told"}}},
		"GET /v1/overview": {summary: "All farms in the order of their problems, page by page", reply: overview.Page{},
			query: []parameter{{"search", "words that a farm has all"}, {"show", "problem, planned, up or down"},
				{"page", "from 1"}, {"size", "farms on a page, at most 500"}}},
		"GET /v1/overview/{farm}": {summary: "The details of a farm, with the course of its numbers",
			reply: overview.Farm{}},
		"GET /v1/changes": {summary: "The last changes of backends and farms since the start",
			reply: overview.Changes{}, query: []parameter{{"farm", "changes of this farm alone"}}},
		"GET /v1/explain": {summary: "What the rules do with a packet, as farmc explain", reply: live.Explanation{},
			query: []parameter{{"service", "ADDRESS:PORT[/PROTOCOL]"}, {"from", "the client: ADDRESS[:PORT]"},
				{"in", "interface by which the packet comes in"}}},
		"GET /v1/doctor": {summary: "Everything that keeps farms from working, as farmc doctor",
			reply: findingsAnswer{}},
		"GET /v1/diff": {summary: "The changes that apply would make", reply: live.Difference{}},
		"GET /v1/history": {summary: "The last loads", reply: struct {
			Loads []statedir.HistoryEntry `json:"loads"`
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
		"POST /v1/confirm": {summary: "Keep the farms of a load on trial", query: []parameter{dryRunParameter},
			status: 204},
		"POST /v1/rollback": {summary: "Load the farms of an earlier load, and hold the changed ones",
			query: []parameter{dryRunParameter}, body: struct {
				Steps int `json:"steps,omitempty"`
			}{}, optional: true, reply: applyAnswer{}},
		"GET " + eventsPath: {summary: "Server-sent events: loads, backends, faults, tampering, bans, findings",
			kind: eventStream},
		"GET " + metricsPath:   {summary: "Numbers of farms and loads for Prometheus", kind: "text/plain"},
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

var selectParameter = parameter{"select",
	"name, farm, hosts, sources, loaded, faults or keys of farms, with commas between"}

// A wordBody is the document of a health word.
type wordBody struct {
	Healthy bool   `json:"healthy"`
	Weight  int    `json:"weight,omitempty"` // percent
	By      string `json:"by,omitempty"`
	Reason  string `json:"reason,omitempty"`
	For     string `json:"for,omitempty"`
	Took    string `json:"took,omitempty"` // by the check
	Next    string `json:"next,omitempty"` // time to the next check
	Late    string `json:"late,omitempty"` // by which checks started at most, since the word before
	Flaps   bool   `json:"flaps,omitempty"`
}

// A listBody is the document of the entries of a list.
type listBody struct {
	Entries []string `json:"entries"`
}

package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
)

// A failing writer gives each write this error.
type failing struct {
	Writer
	err error
}

func (f failing) Write(context.Context, string, live.Write) live.WriteResult {
	return live.WriteResult{Err: f.err}
}

func TestStatusesOfWrites(t *testing.T) {
	s := start(t, siteFiles)
	for _, tt := range []struct {
		err  error
		want int
	}{
		{live.ErrFaulty, 400},
		{manage.Faulty{Faults: []edit.Fault{{Key: "listen", Message: "no"}}}, 400},
		{manage.Missing{Kind: "farm"}, 404},
		{manage.Blocked{Reason: "a drop-in"}, 409},
		{manage.Faulty{File: "web.toml", Faults: []edit.Fault{{Message: "no TOML"}}}, 409},
		{fmt.Errorf("%w: web.toml", live.ErrConflict), 409},
		{live.ErrOnTrial, 409},
		{live.ErrHeld, 409},
		{live.ErrNotLoaded, 409},
		{live.ErrOtherFaults, 409},
		{live.ErrNoFarm, 404},
		{live.ErrNoBackend, 404},
		{live.ErrUntrusted, 409},
		{fmt.Errorf("%w: web.toml", live.ErrOwner), 409},
		{fmt.Errorf("%w: web.toml", live.ErrDangling), 409},
		{problem{status: 412}, 412},
		{live.ErrRefused, 422},
		{errors.New("a mistake"), 500},
		{fmt.Errorf("%w: no turn", live.ErrBusy), 503},
		{fmt.Errorf("%w: no space left on device", live.ErrNotSaved), 507},
	} {
		s.Writer = failing{nil, tt.err}
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			x := s.do(t, exchange{key: "writer", method: method, path: "/v1/farms/web", body: "{}"})
			if x.status != tt.want || strings.Contains(x.answer, `"changes":`) {
				t.Errorf("%s with the error %v: %d %s, want %d", method, tt.err, x.status, x.answer, tt.want)
			}
			if (x.got.Get("Retry-After") != "") != (tt.want == 503) {
				t.Errorf("%s with the error %v: Retry-After is %q", method, tt.err, x.got.Get("Retry-After"))
			}
		}
	}
}

// A succeeding writer has done each write, and each load.
type succeeding struct {
	Writer
	err error
}

func (succeeding) Write(context.Context, string, live.Write) live.WriteResult {
	changes := []string{"web: listen", "mail: new"}
	return live.WriteResult{Plan: live.Plan{Changes: changes}, Warnings: []live.FarmFault{}}
}

func (succeeding) Apply(_ context.Context, _ string, confirm time.Duration) live.WriteResult {
	return live.WriteResult{Plan: live.Plan{OnTrial: confirm > 0}, Warnings: []live.FarmFault{}}
}

func (f succeeding) Confirm(context.Context, string) error { return f.err }

func (f succeeding) DryConfirm(context.Context) error { return f.err }

func (f succeeding) DryRollback(context.Context, int) live.WriteResult {
	return live.WriteResult{Err: f.err, Warnings: []live.FarmFault{}}
}

func (f succeeding) Rollback(context.Context, string, int) live.WriteResult {
	return live.WriteResult{Err: f.err, Warnings: []live.FarmFault{}}
}

// A batching writer does a write together with those of other clients.
type batching struct{ Writer }

func (batching) Write(context.Context, string, live.Write) live.WriteResult {
	changes := []string{"web: @bad 2 networks → 1 networks", "mail: listen", "gone: gone"}
	return live.WriteResult{Plan: live.Plan{Changes: changes}, Warnings: []live.FarmFault{}}
}

// Each error has a sentence, and one about farms tells its first fault in it.
func TestSentencesOfErrors(t *testing.T) {
	faults := []live.FarmFault{{Key: "backends.b1.weight", Message: "weight is 2000, at most 1000"}, {Message: "x"}}
	for _, tt := range []struct {
		problem problem
		want    string
	}{
		{problem{status: 404}, "Not Found"},
		{problem{message: "there is no such farm"}, "there is no such farm"},
		{problem{message: justFaults, faults: faults}, "backends.b1.weight: weight is 2000, at most 1000 (1 more)"},
		{problem{message: "nft refuses", faults: faults[1:]}, "nft refuses: x"},
		{problem{message: "a.toml is not TOML: x", faults: faults[1:]}, "a.toml is not TOML: x"},
	} {
		got := tt.problem.document()
		if got.Error != tt.want || len(got.Faults) != len(tt.problem.faults) {
			t.Errorf("%+v: %+v", tt.problem, got)
		}
	}
	x := start(t, siteFiles).do(t, exchange{key: "writer", method: "PUT", path: "/v1/farms/web", body: "{"})
	if x.status != 400 || !strings.HasPrefix(x.answer, `{"error":"the document `) {
		t.Errorf("%d %s", x.status, x.answer)
	}
}

// The reply to a change of a list names no changes of farms that do not use it: other clients made them.
func TestListReplyHasNoOtherChanges(t *testing.T) {
	files := maps.Clone(siteFiles)
	files["web.toml"] = webFarm + "[access]\ndeny = [\"@bad\"]\n"
	s := start(t, files)
	s.Writer = batching{}
	x := s.do(t, exchange{key: "writer", method: "PUT", path: "/v1/lists/bad", body: `{"entries": ["192.0.2.1"]}`})
	if want := `"changes":["web: @bad 2 networks → 1 networks","gone: gone"]`; !strings.Contains(x.answer, want) {
		t.Errorf("%d %s, want %s", x.status, x.answer, want)
	}
}

// A byte order mark at the beginning of a list counts for nothing, in a body as in a file.
func TestByteOrderMarkOfLists(t *testing.T) {
	const text = "\ufeff192.0.2.1\n192.0.2.2\n"
	files := maps.Clone(siteFiles)
	files["marked.list"] = text
	s := start(t, files)
	if x := s.do(t, exchange{key: "writer", path: "/v1/lists/marked"}); !strings.Contains(x.answer,
		`"entries":["192.0.2.1","192.0.2.2"]`) {
		t.Errorf("%d %q", x.status, x.answer)
	}
	s.Writer = succeeding{}
	for method, path := range map[string]string{"PUT": "/v1/lists/bad", "POST": "/v1/lists/bad/entries"} {
		x := s.do(t, exchange{key: "writer", method: method, path: path, body: text,
			header: map[string]string{"Content-Type": "text/plain"}})
		if x.status != 200 {
			t.Errorf("%s %s: %d %s", method, path, x.status, x.answer)
		}
	}
}

// A body with a list may be twice as long as others.
func TestLongLists(t *testing.T) {
	long := strings.Repeat("x", maxBody+1)
	for path, most := range map[string]int{"/v1/lists/bad": 2, "/v1/lists/bad/entries": 2, "/v1/farms/lists": 1} {
		for times := 1; times <= 2; times++ {
			r := httptest.NewRequest("PUT", path, strings.NewReader(strings.Repeat(long, times)))
			_, _, err := new(Server).readBody(httptest.NewRecorder(), r)
			if tooLarge := err != nil && problemOf(err).status == 413; tooLarge != (times >= most) {
				t.Errorf("%d bytes to %s: %v", r.ContentLength, path, err)
			}
		}
	}
}

// A patient writer refuses every write after the wait that its client prefers.
type patient struct{ Writer }

func (patient) Write(_ context.Context, _ string, w live.Write) live.WriteResult {
	return live.WriteResult{Err: fmt.Errorf("waited %v", w.Patience)}
}

// The header Prefer bounds the wait of a write for its turn.
func TestPreferredWait(t *testing.T) {
	s := start(t, siteFiles)
	s.Writer = patient{}
	for prefer, want := range map[string]string{"": "0s", "wait=2": "2s", "respond-async, wait=10": "10s",
		"wait=100": "30s", "wait=soon": "0s", "wait=-1": "0s"} {
		for request, body := range map[string]string{"PATCH /v1/farms/web": "{}",
			"PUT /v1/farms/web/backends/b1/state": `{"state": "up"}`, "PUT /v1/lists/bad": `{"entries": []}`} {
			method, path, _ := strings.Cut(request, " ")
			x := s.do(t, exchange{key: "writer", method: method, path: path, body: body,
				header: map[string]string{"Prefer": prefer}})
			if !strings.Contains(x.answer, "waited "+want+`"`) {
				t.Errorf("%s, Prefer: %s: %s, want %s", request, prefer, x.answer, want)
			}
		}
	}
}

// A busy writer has no turn for words and bans.
type busy struct{ Writer }

func (busy) WriteAll(_ context.Context, _ string, writes []live.Write) []live.WriteResult {
	out := make([]live.WriteResult, len(writes))
	for i, w := range writes {
		out[i].Err = fmt.Errorf("%w for %v", live.ErrBusy, w.Patience)
	}
	return out
}

func (busy) Ban(_ context.Context, _ string, q live.BanRequest) (live.BanResult, error) {
	return live.BanResult{}, fmt.Errorf("%w for %v", live.ErrBusy, q.Patience)
}

func (busy) Unban(_ context.Context, _ string, q live.BanRequest) (bool, error) {
	return false, fmt.Errorf("%w for %v", live.ErrBusy, q.Patience)
}

// Words of checkers and bans that get no turn are 503, like other writes.
func TestWordsAndBansWithoutTurn(t *testing.T) {
	s := start(t, siteFiles)
	s.Writer = busy{}
	const ban = "/v1/farms/web/bans/198.51.100.7"
	for _, tt := range []struct{ request, body string }{
		{"PUT /v1/farms/web/backends/b2/health", `{"healthy": false}`},
		{"PUT /v1/health", `{"words": [{"farm": "web", "backend": "b2", "healthy": false}]}`},
		{"PUT " + ban, ""}, {"DELETE " + ban, ""},
	} {
		for prefer, want := range map[string]string{"": "10s", "wait=2": "2s"} {
			method, path, _ := strings.Cut(tt.request, " ")
			x := s.do(t, exchange{key: "writer", method: method, path: path, body: tt.body,
				header: map[string]string{"Prefer": prefer}})
			if x.status != 503 || x.got.Get("Retry-After") == "" || !strings.Contains(x.answer, "busy for "+want) {
				t.Errorf("%s, Prefer: %s: %d %s", tt.request, prefer, x.status, x.answer)
			}
		}
	}
}

// A malformed query, of which a reader of parameters leaves a part out, makes no dry run the real change.
func TestMalformedParametersOfWrites(t *testing.T) {
	s := start(t, siteFiles)
	s.Writer, s.Applier = succeeding{}, succeeding{}
	for request, body := range map[string]string{"PATCH /v1/farms/web/backends/b1": "{}", "POST /v1/apply": "",
		"POST /v1/rollback": "", "DELETE /v1/farms/web/bans/192.0.2.1": "",
		"POST /v1/lists/bad/entries":          `{"entries": []}`,
		"PUT /v1/farms/web/backends/b1/state": `{"state": "up"}`, "DELETE /v1/farms/web/sessions": ""} {
		method, path, _ := strings.Cut(request, " ")
		for _, query := range []string{"?dry-run;", "?dry-run%zz", "?dry-run;x", "?x;y"} {
			x := s.do(t, exchange{key: "writer", method: method, path: path + query, body: body})
			if x.status != 400 || !strings.Contains(x.answer, "the parameters are malformed") {
				t.Errorf("%s%s: %d %s", request, query, x.status, x.answer)
			}
		}
	}
}

// A farm of the files that is not loaded is no reason for 500, and none for 404 as long as GET of the farm is 200.
func TestRequestsBeforeTheFirstLoad(t *testing.T) {
	s := start(t, siteFiles)
	for path, want := range map[string]int{"/v1/farms/web": 200, "/v1/farms/web/bans": 409, "/v1/farms/none/bans": 404,
		"/v1/farms/web/sessions": 409, "/v1/farms/web/backends/b1/state": 409, "/v1/farms/web/backends/b9/health": 404,
		"/v1/explain?service=192.0.2.10:80&from=198.51.100.7": 409} {
		if x := s.do(t, exchange{key: "reader", path: path}); x.status != want {
			t.Errorf("%s: %d %s, want %d", path, x.status, x.answer, want)
		}
	}
}

// The replies of writes and loads are those that the description of the API has.
func TestRepliesOfWrites(t *testing.T) {
	s := start(t, siteFiles)
	s.Writer, s.Applier = succeeding{}, succeeding{}
	for _, tt := range []struct {
		request, body string
		want          int
		answer        string
	}{
		{"PUT /v1/farms/web", "{}", 200, `{"changes":["listen"],"warnings":[],"took":`},
		{"PATCH /v1/farms/web/backends/b1?dry-run", "{}", 200, `"dryRun":true}`},
		{"DELETE /v1/farms/web", "", 200, `{"changes":["listen"],`},
		{"POST /v1/apply", "", 200, `{"changes":[],"warnings":[],"took":`},
		{"POST /v1/apply", `{"confirm": "60s"}`, 200, `"left":`},
		{"POST /v1/apply", `{"confirm": "1s"}`, 400, "5s to 24h"},
		{"POST /v1/apply", `{"confirms": "60s"}`, 400, `has no key`},
		{"POST /v1/confirm", "", 204, ""},
		{"POST /v1/rollback", `{"steps": 2}`, 200, `"changes":[]`},
		{"POST /v1/confirm?dry-run", "", 204, ""},
		{"POST /v1/rollback?dry-run", "", 200, `"dryRun":true}`},
		{"POST /v1/rollback", `{"steps": "2"}`, 400, "steps is a number"},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		x := s.do(t, exchange{key: "writer", method: method, path: path, body: tt.body})
		if x.status != tt.want || !strings.Contains(x.answer, tt.answer) {
			t.Errorf("%s: %d %s, want %d %s", tt.request, x.status, x.answer, tt.want, tt.answer)
		}
	}
	for _, err := range []error{live.ErrNoTrial, live.ErrNoPrevious} {
		s.Applier = succeeding{nil, err}
		path := map[error]string{live.ErrNoTrial: "confirm", live.ErrNoPrevious: "rollback"}[err]
		if x := s.do(t, exchange{key: "writer", method: "POST", path: "/v1/" + path}); x.status != 409 {
			t.Errorf("%s with the error %v: %d %s", path, err, x.status, x.answer)
		}
	}
}

// No request changes anything whose dry run is misspelt.
func TestMisspeltDryRuns(t *testing.T) {
	s := start(t, siteFiles)
	s.Writer = failing{nil, errors.New("the write was called")}
	for _, request := range []string{"PUT /v1/farms/web?dryrun", "PATCH /v1/farms/web?dry-run=0",
		"DELETE /v1/farms/web?dry-run&force", "POST /v1/apply?dry_run", "POST /v1/confirm?dry-run=1",
		"POST /v1/rollback?dry_run"} {
		method, path, _ := strings.Cut(request, " ")
		if x := s.do(t, exchange{key: "writer", method: method, path: path, body: "{}"}); x.status != 400 {
			t.Errorf("%s: %d %s", request, x.status, x.answer)
		}
	}
}

// No name leads out of the directories of farms, and no malformed document reaches a write.
func TestHostileWrites(t *testing.T) {
	s := start(t, siteFiles)
	s.Writer = failing{nil, errors.New("the write was called")}
	for _, path := range []string{"/v1/farms/..", "/v1/farms/..%2fweb", "/v1/farms/web%00", "/v1/farms/.hidden",
		"/v1/farms/_defaults", "/v1/farms/a%20b", "/v1/farms/" + strings.Repeat("a", 97), "/v1/farms/%ff"} {
		x := s.do(t, exchange{key: "writer", method: "PUT", path: path, body: "{}"})
		if x.status != 400 && x.status != 404 {
			t.Errorf("PUT %s: %d %s", path, x.status, x.answer)
		}
	}
	for _, body := range []string{"", "[]", "null", `{"a":1,"a":2}`, `{"a":"` + "\xff" + `"}`,
		strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)} {
		for _, method := range []string{"PUT", "PATCH"} {
			x := s.do(t, exchange{key: "writer", method: method, path: "/v1/farms/web", body: body})
			if x.status != 400 {
				t.Errorf("%s %.20q: %d %s", method, body, x.status, x.answer)
			}
		}
	}
}

// Package web serves pages for browsers below /ui/: farms and their problems, the last load, the script, and forms that
// change states. It is a client of the JSON API: each page asks the API with the key of its session, so the API checks
// all permissions, and a page shows nothing that a program could not read. It knows HTTP, sessions and HTML. It does
// not know farms, files, the kernel and loading.
//
// Order of the files: web.go (Site: from a request to a page), session.go and login.go (keys and cookies), guard.go
// (headers, tokens of forms), ask.go (requests to the API), render.go and words.go (templates, numbers in words),
// figure.go and sparkline.go (numbers with small graphs). farms.go, farm.go, problems.go, script.go, explain.go,
// graph.go, doctor.go and history.go have the pages; action.go, setting.go and undo.go have the forms that change
// something; live.go has events. templates has the HTML, static the style sheet and the script, test the tests in a
// browser.
//
// Be aware:
//   - Names, descriptions, file names and lines of files are text of users. Only html/template writes them into a page.
//     The content security policy permits neither scripts nor styles within a page.
//   - All pages work without the script, which only brings them up to date.
package web

import (
	"context"
	"html/template"
	"net/http"
	"sync"
	"time"

	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/relay"
)

// An API answers requests of pages.
type API interface {
	// Ask answers a request with the permissions of its key. An error means that w has no complete answer.
	Ask(ctx context.Context, w http.ResponseWriter, in relay.Request) error
	// Follow answers with server-sent events while valid is true.
	Follow(w http.ResponseWriter, r *http.Request, key apikey.Key, valid func() bool)
	// Guessed slows the client that sent a wrong key.
	Guessed(r *http.Request)
}

// Keys knows the keys of the API.
type Keys interface {
	Find(secret string) (apikey.Key, bool)
	Has(key apikey.Key) bool
}

// A Site answers requests of browsers.
type Site struct {
	api      API
	keys     Keys
	log      func(format string, args ...any)
	version  string
	sessions sessions
	mux      *http.ServeMux
	origins  *http.CrossOriginProtection
	pages    map[string]*template.Template
	files    map[string]file
	now      func() time.Time

	acting sync.Mutex // of forms: some look at a setting before they change it
	logins loginLog
}

// New returns the pages of an API. The version of farmc stands below each page.
func New(api API, keys Keys, version string, log func(format string, args ...any)) *Site {
	s := &Site{api: api, keys: keys, log: log, version: version, now: time.Now,
		origins: http.NewCrossOriginProtection(), files: staticFiles()}
	s.pages = s.templates()
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /ui", redirectTo("/ui/"))
	s.mux.HandleFunc("GET /ui/static/{file}", s.static)
	s.mux.HandleFunc("GET /ui/login", s.loginForm)
	s.mux.HandleFunc("POST /ui/login", s.login)
	for pattern, page := range map[string]page{
		"GET /ui/{$}":                    s.farms,
		"GET /ui/farms/{farm}":           s.farm,
		"GET /ui/farms/{farm}/graph.svg": s.graph,
		"GET /ui/problems":               s.problems,
		"GET /ui/script":                 s.script,
		"GET /ui/explain":                s.explain,
		"GET /ui/doctor":                 s.doctor,
		"GET /ui/history":                s.history,
		"GET /ui/history/{steps}":        s.rollbackPreview,
		"GET /ui/events":                 s.events,
		"POST /ui/logout":                s.logout,
		"POST /ui/undo":                  s.undo,
		"POST /ui/confirm":               s.confirm,
		"POST /ui/rollback":              s.rollback,
		"POST /ui/farms/{farm}/backends/{backend}/state":  s.setState,
		"POST /ui/farms/{farm}/backends/{backend}/weight": s.setWeight,
		"POST /ui/farms/{farm}/bans":                      s.ban,
		"POST /ui/farms/{farm}/unban":                     s.unban,
		"GET /ui/":                                        s.noPage,
	} {
		s.mux.HandleFunc(pattern, s.guarded(page))
	}
	return s
}

// A page answers a request of a session.
type page func(w http.ResponseWriter, r *visit) error

// A visit is a request with its session.
type visit struct {
	*http.Request
	session *session
}

// ServeHTTP answers a request.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	s.mux.ServeHTTP(w, r)
}

// guarded returns the handler of a page: it needs a session, and a form its token.
func (s *Site) guarded(answer page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		session := s.sessionOf(r)
		if session == nil {
			s.sendToLogin(w, r)
			return
		}
		v := &visit{r, session}
		if r.Method == http.MethodPost {
			if err := s.checkForm(w, v); err != nil {
				s.fail(w, v, err)
				return
			}
			s.acting.Lock()
			defer s.acting.Unlock()
		}
		if err := answer(w, v); err != nil {
			s.fail(w, v, err)
		}
	}
}

func redirectTo(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, path, http.StatusSeeOther) }
}

func (s *Site) noPage(http.ResponseWriter, *visit) error {
	return failure{status: http.StatusNotFound, message: "there is no such page"}
}

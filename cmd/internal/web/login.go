package web

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"farmc/cmd/internal/apikey"
)

// A loginPage asks for a key.
type loginPage struct {
	Next  string // path of the page to show then
	Error string
	Ended bool // there was a session
}

func (s *Site) loginForm(w http.ResponseWriter, r *http.Request) {
	next := r.URL.Query().Get("next")
	s.render(w, &visit{Request: r}, http.StatusOK, "login",
		view{Title: "Log in", Body: loginPage{Next: next, Ended: next != ""}})
}

// login begins a session with the key of the form.
func (s *Site) login(w http.ResponseWriter, r *http.Request) {
	v := &visit{Request: r}
	if err := s.origins.Check(r); err != nil {
		s.fail(w, v, failure{status: http.StatusForbidden, message: "the form comes from another site"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	secret, next := strings.TrimSpace(r.PostFormValue("key")), r.PostFormValue("next")
	key, known := s.keys.Find(secret)
	switch {
	case !known:
		s.api.Guessed(r)
		s.render(w, v, http.StatusUnauthorized, "login", view{Title: "Log in",
			Body: loginPage{Next: next, Error: "This is not a key of the API."}})
		return
	case !key.May(apikey.ReadAll, ""):
		s.render(w, v, http.StatusForbidden, "login", view{Title: "Log in", Body: loginPage{Next: next,
			Error: "The role " + string(key.Role) + " is for programs: a page needs the role read, state or write."}})
		return
	}
	if before := s.sessionOf(r); before != nil {
		s.sessions.end(before)
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName(r), Value: s.sessions.begin(key, s.now()), Path: "/",
		MaxAge: int(wholeTime.Seconds()), HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
	if s.logins.has(key.Name, s.now()) {
		s.log("API: %s logged in to the pages", key.Name)
	}
	http.Redirect(w, r, nextPath(next), http.StatusSeeOther)
}

// A loginLog keeps the logins of a key that are logged at least a minute apart.
type loginLog struct {
	mu   sync.Mutex
	last map[string]time.Time // by the name of the key
}

const loginPause = time.Minute

// has reports whether a login is to be logged.
func (l *loginLog) has(name string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, known := l.last[name]; known && now.Sub(at) < loginPause {
		return false
	}
	if l.last == nil || len(l.last) > maxSessions {
		l.last = map[string]time.Time{}
	}
	l.last[name] = now
	return true
}

// nextPath returns a path of a page; that of all farms for another text.
func nextPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/ui/") || strings.Contains(text, "\\") ||
		path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return "/ui/"
	}
	return u.RequestURI()
}

func (s *Site) logout(w http.ResponseWriter, v *visit) error {
	s.sessions.end(v.session)
	http.SetCookie(w, &http.Cookie{Name: cookieName(v.Request), Path: "/", MaxAge: -1, HttpOnly: true,
		Secure: v.TLS != nil, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, v.Request, "/ui/login", http.StatusSeeOther)
	return nil
}

// liveHeader marks requests of the script, which brings a page up to date.
const liveHeader = "Farmc-Live"

// sendToLogin answers a request without a session. The script gets a status, and tells the reader.
func (s *Site) sendToLogin(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(liveHeader) != "" || r.URL.Path == "/ui/events" {
		http.Error(w, "the session has ended", http.StatusUnauthorized)
		return
	}
	form := "/ui/login"
	if next := r.URL.RequestURI(); r.Method == http.MethodGet && next != "/ui/" {
		form += "?next=" + url.QueryEscape(next)
	}
	http.Redirect(w, r, form, http.StatusSeeOther)
}

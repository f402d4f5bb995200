package web

import (
	"crypto/rand"
	"crypto/sha256"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"farmc/cmd/internal/apikey"
)

// Bounds of sessions. An open page asks every few seconds, so a session without a request has no open page.
const (
	maxSessions = 200
	maxPerKey   = 20
	idleTime    = 30 * time.Minute // without a request
	wholeTime   = 12 * time.Hour
)

// A session is the time between the login and the logout of a browser.
type session struct {
	key   apikey.Key
	token string // of the forms of its pages
	began time.Time

	mu       sync.Mutex
	used     time.Time
	outcomes []outcome // of the last actions, the oldest first
	next     int       // number of the next outcome
}

// sessions are the sessions of this process, by the digests of their cookies.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

// begin begins a session for a key, and returns its cookie. If there are too many sessions, the one that was not used
// longest ends: of the same key first.
func (s *sessions) begin(key apikey.Key, now time.Time) (cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropOld(now)
	if s.all == nil {
		s.all = map[[sha256.Size]byte]*session{}
	}
	ofKey := func(other *session) bool { return other.key.Name == key.Name }
	if s.count(ofKey) >= maxPerKey {
		s.dropOldest(ofKey)
	} else if len(s.all) >= maxSessions {
		s.dropOldest(func(*session) bool { return true })
	}
	cookie = rand.Text()
	s.all[sha256.Sum256([]byte(cookie))] = &session{key: key, token: rand.Text(), began: now, used: now}
	return cookie
}

func (s *sessions) count(which func(*session) bool) (n int) {
	for _, of := range s.all {
		if which(of) {
			n++
		}
	}
	return n
}

func (s *sessions) dropOldest(which func(*session) bool) {
	var oldest [sha256.Size]byte
	var found *session
	for digest, of := range s.all {
		if which(of) && (found == nil || of.lastUse().Before(found.lastUse())) {
			oldest, found = digest, of
		}
	}
	delete(s.all, oldest)
}

func (s *sessions) dropOld(now time.Time) {
	for digest, of := range s.all {
		if of.isOver(now) {
			delete(s.all, digest)
		}
	}
}

// find returns the session of a cookie; nil if there is none, or if its time is over.
func (s *sessions) find(cookie string, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	digest := sha256.Sum256([]byte(cookie))
	of := s.all[digest]
	if of != nil && of.isOver(now) {
		delete(s.all, digest)
		return nil
	}
	return of
}

func (s *sessions) end(which *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for digest, of := range s.all {
		if of == which {
			delete(s.all, digest)
		}
	}
}

func (s *session) lastUse() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

func (s *session) isOver(now time.Time) bool {
	return now.Sub(s.began) > wholeTime || now.Sub(s.lastUse()) > idleTime
}

func (s *session) use(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = now
}

// cookieName is the name of the cookie. Over TLS a browser takes the one with the prefix from this host alone. Cookies
// do not know ports, so the name does: two forwarded ports of a machine would share one session otherwise.
func cookieName(r *http.Request) string {
	name := "farmc"
	if r.TLS != nil {
		name = "__Host-farmc"
	}
	_, port, _ := net.SplitHostPort(r.Host)
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		name += "-" + strconv.FormatUint(n, 10)
	}
	return name
}

// sessionOf returns the session of a request if its key is still valid; nil if there is none.
func (s *Site) sessionOf(r *http.Request) *session {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return nil
	}
	found := s.sessions.find(cookie.Value, s.now())
	switch {
	case found == nil:
		return nil
	case !s.keys.Has(found.key):
		s.sessions.end(found)
		return nil
	}
	found.use(s.now())
	return found
}

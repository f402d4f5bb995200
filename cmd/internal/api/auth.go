package api

import (
	"context"
	"net/http"
	"strings"

	"farmc/cmd/internal/apikey"
)

// identify returns the key of a request. Root on the unix socket needs none, except in a browser: root may forward a
// port to the socket, and then a form of any site in the browser would act as root. A front has identified its
// requests, and cancels them when their key is deleted.
func (s *Server) identify(r *http.Request) (apikey.Key, bool) {
	if key, ok := r.Context().Value(relayContext).(apikey.Key); ok {
		return key, true
	}
	secret, given := secretOf(r.Header)
	if given {
		return s.Keys.Find(secret)
	}
	if c := connOf(r.Context()); c != nil && c.isRoot && !isFromBrowser(r.Header) {
		return apikey.Root(), true
	}
	return apikey.Key{}, false
}

// isFromBrowser reports whether a browser sent a request. Browsers name the origin of each form. A request to read may
// have nothing but the name of the browser.
func isFromBrowser(h http.Header) bool {
	return len(h.Values("Origin")) > 0 || len(h.Values("Sec-Fetch-Site")) > 0 ||
		strings.HasPrefix(h.Get("User-Agent"), "Mozilla/")
}

// secretOf returns the secret of the header Key, or of Authorization: Bearer. Two secrets in one request are no secret,
// because they would have two meanings.
func secretOf(h http.Header) (secret string, given bool) {
	keys, authorizations := h.Values("Key"), h.Values("Authorization")
	switch len(keys) + len(authorizations) {
	case 0:
		return "", false
	case 1:
	default:
		return "", true
	}
	if len(keys) == 1 {
		return keys[0], true
	}
	scheme, token, _ := strings.Cut(authorizations[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

// contextKey is the type of this package's keys of contexts.
type contextKey int

const (
	keyContext contextKey = iota
	connContext
	relayContext // the key of a request of a front
)

func withKey(ctx context.Context, k apikey.Key) context.Context {
	return context.WithValue(ctx, keyContext, k)
}

// keyOf returns the key of the request; the zero key, which permits nothing, if there is none.
func keyOf(ctx context.Context) apikey.Key {
	k, _ := ctx.Value(keyContext).(apikey.Key)
	return k
}

package web

import (
	"crypto/subtle"
	"net/http"
)

// policy permits the files of this server, and nothing within a page. Pages of others cannot show these pages in a
// frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// setHeaders sets the headers of all answers.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")        // for browsers that do not know frame-ancestors
	h.Set("Referrer-Policy", "same-origin") // without referrers, a form has the origin null
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}

// maxForm is the size of the largest form, in bytes.
const maxForm = 16 << 10

// checkForm returns an error for a form that the page of the session did not send: it comes from another site, or lacks
// the token.
func (s *Site) checkForm(w http.ResponseWriter, v *visit) error {
	if err := s.origins.Check(v.Request); err != nil {
		return failure{status: http.StatusForbidden, message: "the form comes from another site"}
	}
	v.Body = http.MaxBytesReader(w, v.Body, maxForm)
	if err := v.ParseForm(); err != nil {
		return failure{status: http.StatusBadRequest, message: "the form is malformed or too large"}
	}
	token := []byte(v.PostForm.Get("token"))
	if subtle.ConstantTimeCompare(token, []byte(v.session.token)) != 1 {
		return failure{http.StatusForbidden, "the form is not of this session: go back and send it again"}
	}
	return nil
}

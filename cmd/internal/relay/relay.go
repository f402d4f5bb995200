// Package relay hands requests of API clients from the process that speaks HTTP to the process that changes rules, over
// a unix socket.
//
// The first process, the front, parses HTTP and TLS, and needs no privilege. It sends requests in a protocol that has
// no optional forms, so a fault in the parsing of HTTP is no fault of the process with network privileges. The package
// knows neither routes nor farms, and it judges no key: the server's Handler checks its role against the request again.
//
// The protocol: a connection has one request and one reply. All messages are frames: a byte with the kind, four bytes
// with the length (big endian), and the payload. The request is a frame with a JSON object without unknown keys,
// followed by as many bytes of the body as the object says. The reply is a frame with status and headers, frames of
// data, and a frame without payload at the end; write deadlines and flushes stand between them. If the front closes the
// connection, the context of the request ends.
//
// Order of the files: relay.go (Request and the limits), frame.go (frames), front.go (Do), serve.go (Serve), reply.go
// (the http.ResponseWriter of handlers).
package relay

import (
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"farmc/cmd/internal/apikey"
)

// A Request is a request of a client with a valid key.
type Request struct {
	Method string      `json:"method"`
	Path   string      `json:"path"` // decoded
	Query  string      `json:"query"`
	Header http.Header `json:"header"` // only names of Headers
	Key    apikey.Key  `json:"key"`    // without its digest
	Size   int         `json:"size"`   // of Body
	Body   []byte      `json:"-"`
}

// Headers are the headers that pass. All others concern the connection to the client, or nothing.
var Headers = []string{"Accept", "Content-Encoding", "Content-Type", "If-Match", "If-None-Match", "Last-Event-Id",
	"Prefer"}

// Limits of a request.
const (
	MaxBody   = 32 << 20 // bytes
	maxHead   = 64 << 10 // bytes of a frame with the head of a request or a reply
	maxMethod = 32       // bytes
)

// Times of a connection between the two processes.
const (
	sendTime   = 10 * time.Second // for a request, which the front has in memory
	answerTime = time.Minute      // for a reply, unless the handler sets another deadline
	endTime    = time.Second      // for a reply after the server's context has ended
)

// ErrText reports that a request has text that is not UTF-8, which the protocol cannot carry.
var ErrText = errors.New("text that is not UTF-8")

// Chosen returns the headers of h that pass.
func Chosen(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range Headers {
		if values := h.Values(name); len(values) > 0 {
			out[name] = values
		}
	}
	return out
}

// validate checks a request that arrived. Its body is checked while it is read.
func (r Request) validate() error {
	switch {
	case r.Method == "" || len(r.Method) > maxMethod:
		return errors.New("no method")
	case r.Path == "" || r.Path[0] != '/':
		return errors.New("no path")
	case r.Size < 0 || r.Size > MaxBody:
		return fmt.Errorf("a body of %d bytes", r.Size)
	case len(Chosen(r.Header)) != len(r.Header):
		return errors.New("a header that does not pass")
	}
	return r.Key.Validate()
}

// isText reports whether all texts are UTF-8, so that JSON changes none of them.
func (r Request) isText() bool {
	all := []string{r.Method, r.Path, r.Query}
	for _, values := range r.Header {
		all = append(all, values...)
	}
	for _, text := range all {
		if !utf8.ValidString(text) {
			return false
		}
	}
	return true
}

package api

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/user"
	"strconv"

	"farmc/cmd/internal/relay"
)

// ServeRelay answers requests of a front until ctx is done. It checks the path and the permission of the key again.
func (s *Server) ServeRelay(ctx context.Context, l net.Listener) {
	steady := &steadyLog{log: s.Log}
	server := relay.Server{Users: frontUsers(), Handle: s.answerRelayed, Log: steady.printf}
	server.Serve(ctx, l)
}

// frontUser is the user of farmc-api.service.
const frontUser = "farmc"

// frontUsers returns the ID of the user of farmc-api.service, if there is one.
func frontUsers() []uint32 {
	u, err := user.Lookup(frontUser)
	if err != nil {
		return nil
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil
	}
	return []uint32{uint32(id)}
}

// answerRelayed answers a request of a front. The front has parsed it, so there is no HTTP to parse.
func (s *Server) answerRelayed(ctx context.Context, w http.ResponseWriter, in relay.Request) {
	r := &http.Request{Method: in.Method, URL: &url.URL{Path: in.Path, RawQuery: in.Query}, Header: in.Header,
		Body: io.NopCloser(bytes.NewReader(in.Body)), ContentLength: int64(len(in.Body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RequestURI: in.Path, RemoteAddr: "farmc api"}
	if in.Header == nil {
		r.Header = http.Header{}
	}
	r = r.WithContext(context.WithValue(withKey(ctx, in.Key), relayContext, in.Key))
	if err := s.malformed(w, r); err != nil {
		s.refuse(w, r, err)
		return
	}
	s.mux.ServeHTTP(w, r)
}

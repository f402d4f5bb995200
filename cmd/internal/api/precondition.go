package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
	"farmc/cmd/internal/source"
)

// conditional are the paths of the requests to change something that obey If-Match and If-None-Match.
var conditional = []string{"/v1/farms/{farm}", "/v1/farms/{farm}/backends/{backend}", statePath, weightPath,
	"/v1/lists/{list}", "/v1/lists/{list}/entries"}

// obeysConditions returns an error for a condition of a request to change something that has no ETag: without an effect
// it would let the client believe that it lost no change of others.
func (route Route) obeysConditions(h http.Header) error {
	if route.Method == "GET" || slices.Contains(conditional, route.Path) || !strings.HasPrefix(route.Path, "/v1/") {
		return nil
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if len(h.Values(name)) > 0 {
			return malformed("this request takes no " + name)
		}
	}
	return nil
}

// underConditions has a write to the state or the weight of a backend ask the conditions of the request first. They
// hold for the keys of the backend.
func underConditions(r *http.Request, write *live.Write) {
	if len(r.Header.Values("If-Match"))+len(r.Header.Values("If-None-Match")) == 0 {
		return
	}
	admit, changes := condition(r.Header), write.Changes
	farm, backend := r.PathValue("farm"), r.PathValue("backend")
	write.Changes = func(files live.Files) ([]source.Change, error) {
		var now json.RawMessage
		if f := files.Reading(farm); f != nil {
			now = manage.BackendOf(f.Document(), fileName(f, backend))
		}
		if err := admit(now); err != nil {
			return nil, err
		}
		return changes(files)
	}
}

// condition returns the condition of the headers If-Match and If-None-Match (RFC 9110, section 13) for a write. It is
// asked under the lock of the engine, so no change comes between it and the write.
func condition(h http.Header) manage.Condition {
	match, hasMatch := tags(h, "If-Match")
	noneMatch, hasNoneMatch := tags(h, "If-None-Match")
	return func(now json.RawMessage) error {
		switch {
		case hasMatch && !matches(match, now):
			return problem{status: http.StatusPreconditionFailed, message: "If-Match: " + otherVersion(now)}
		case hasNoneMatch && matches(noneMatch, now):
			return problem{status: http.StatusPreconditionFailed, message: "If-None-Match: it exists already"}
		}
		return nil
	}
}

func otherVersion(now json.RawMessage) string {
	if now == nil {
		return "there is no such resource"
	}
	return "it was changed; its ETag is " + etag(now)
}

// tags returns the entity tags of a header.
func tags(h http.Header, name string) (out []string, given bool) {
	values := h.Values(name)
	for tag := range strings.SplitSeq(strings.Join(values, ","), ",") {
		out = append(out, strings.TrimSpace(tag))
	}
	return out, len(values) > 0
}

// matches reports whether one of the tags, or *, stands for the document. Nil is a document that does not exist.
func matches(tags []string, now []byte) bool {
	return now != nil && (slices.Contains(tags, "*") || slices.Contains(tags, etag(now)))
}

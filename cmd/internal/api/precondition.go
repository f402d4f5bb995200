package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"farmc/cmd/internal/manage"
)

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

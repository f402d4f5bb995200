package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/api"
	"farmc/cmd/internal/event"
)

// A resource is an entry of RESOURCES in farmc-api(7).
type resource struct {
	paths []string // with {} in place of names
	text  string   // of the whole entry
}

var (
	resourcePath = regexp.MustCompile(`/[a-zA-Z0-9/.]+`)
	nameInPath   = regexp.MustCompile(`\{[a-z]+\}|\b[A-Z]+\b`)
	capitals     = regexp.MustCompile(`\b[A-Z]+\b`)
)

// resources returns the entries of the page.
func resources(t *testing.T) (out []resource) {
	t.Helper()
	for line := range strings.Lines(section(readPage(t, "farmc-api.7"), "RESOURCES")) {
		plain := strings.ReplaceAll(line, "*", "")
		if strings.HasPrefix(line, "**") {
			r := resource{}
			for _, path := range resourcePath.FindAllString(plain, -1) {
				r.paths = append(r.paths, nameInPath.ReplaceAllString(path, "{}"))
			}
			out = append(out, r)
		}
		if len(out) > 0 {
			out[len(out)-1].text += plain
		}
	}
	return out
}

// names reports whether an entry names a method and a path.
func (r resource) names(method, path string) bool {
	return slices.Contains(r.paths, path) && slices.Contains(capitals.FindAllString(r.text, -1), method)
}

// The page has each request of the API, and no others.
func TestRequestsOfTheAPI(t *testing.T) {
	entries, known := resources(t), map[string]bool{}
	for _, route := range api.Routes() {
		path := nameInPath.ReplaceAllString(route.Path, "{}")
		known[path] = true
		if !slices.ContainsFunc(entries, func(r resource) bool { return r.names(route.Method, path) }) {
			t.Errorf("farmc-api(7) lacks %s %s", route.Method, route.Path)
		}
	}
	for _, r := range entries {
		for _, path := range r.paths {
			if !known[path] {
				t.Errorf("farmc-api(7) has %s, which is no path of the API", path)
			}
		}
	}
}

// The page has each kind of events.
func TestKindsOfEvents(t *testing.T) {
	kinds := section(readPage(t, "farmc-api.7"), "EVENTS")
	for _, kind := range event.Kinds {
		if !strings.Contains(kinds, "\n**"+string(kind)+"**") && !strings.Contains(kinds, ", **"+string(kind)+"**\n") {
			t.Errorf("farmc-api(7) lacks the events %s", kind)
		}
	}
}

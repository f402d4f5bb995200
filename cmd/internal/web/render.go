package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/apikey"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFS embed.FS

// A view is a page with all that the frame around it shows.
type view struct {
	Title string
	Nav   string // the entry of the navigation that is current
	Live  bool   // the script brings the page up to date
	Body  any

	Key     string
	Role    string
	Token   string
	Host    string
	Version string
	Now     time.Time
	Outcome *outcome // of the action before; nil: none
	May     permissions
}

// permissions are the permissions of a session, for templates.
type permissions struct{ key apikey.Key }

// State reports whether the key may set states of the farm.
func (p permissions) State(farm string) bool { return p.key.May(apikey.SetState, farm) }

// Write reports whether the key may load and roll back.
func (p permissions) Write() bool { return p.key.May(apikey.WriteAll, "") }

// templates returns the template of each page, with the frame around it.
func (s *Site) templates() map[string]*template.Template {
	out := map[string]*template.Template{}
	frame := template.Must(template.New("").Funcs(s.functions()).ParseFS(templateFiles, "templates/frame.html",
		"templates/parts.html"))
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name != "frame" && name != "parts" {
			out[name] = template.Must(template.Must(frame.Clone()).ParseFS(templateFiles, file))
		}
	}
	return out
}

// render answers with a page.
func (s *Site) render(w http.ResponseWriter, v *visit, status int, name string, page view) {
	page.Host, page.Version, page.Now = v.Host, s.version, s.now()
	if v.session != nil {
		page.Key, page.Role, page.Token = v.session.key.Name, string(v.session.key.Role), v.session.token
		page.May = permissions{v.session.key}
		page.Outcome = v.session.outcome(v.URL.Query().Get("done"))
	}
	var text bytes.Buffer
	if err := s.pages[name].ExecuteTemplate(&text, "frame", page); err != nil {
		s.log("API: page %s: %v", name, err)
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}

// A failurePage tells an error.
type failurePage struct {
	Status  int
	Message string
}

// fail answers with an error.
func (s *Site) fail(w http.ResponseWriter, v *visit, err error) {
	status := statusOf(err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	s.render(w, v, status, "failure", view{Title: http.StatusText(status), Body: failurePage{status, err.Error()}})
}

// A file is a static file.
type file struct {
	text    []byte
	kind    string // content type
	version string // digest of the text, in the addresses of pages
}

func staticFiles() map[string]file {
	out := map[string]file{}
	entries, err := staticFS.ReadDir("static")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		text, err := staticFS.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(text)
		out[e.Name()] = file{text, mime.TypeByExtension(path.Ext(e.Name())), hex.EncodeToString(sum[:6])}
	}
	return out
}

// static answers with a static file. Its address changes with its text, so a browser may keep it.
func (s *Site) static(w http.ResponseWriter, r *http.Request) {
	f, known := s.files[r.PathValue("file")]
	if !known {
		http.NotFound(w, r)
		return
	}
	if r.URL.Query().Get("v") == f.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(f.text)))
	_, _ = w.Write(f.text)
}

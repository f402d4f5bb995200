package lsp

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/channel"

	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
)

// An editor is a client of a server in this process, with a directory of farms.
type editor struct {
	*jrpc2.Client
	t       *testing.T
	dir     string
	options Options
	told    chan publishParams
	shown   chan string // messages
	ended   chan error  // the result of Serve
}

// newEditor starts a server and initializes it. Files are those of the directory, by name.
func newEditor(t *testing.T, files map[string]string) *editor {
	t.Helper()
	e := unready(t, files)
	var result initializeResult
	e.call("initialize", map[string]any{"capabilities": map[string]any{"textDocument": map[string]any{
		"hover":              map[string]any{"contentFormat": []string{"markdown", "plaintext"}},
		"publishDiagnostics": map[string]any{"relatedInformation": true}}}}, &result)
	if result.ServerInfo.Name != "farmc" || result.Capabilities.PositionEncoding != "utf-16" {
		t.Errorf("initialize gives %+v", result)
	}
	e.notify("initialized", map[string]any{})
	return e
}

// unready starts a server.
func unready(t *testing.T, files map[string]string) *editor {
	t.Helper()
	e := &editor{t: t, dir: t.TempDir(), told: make(chan publishParams, 100), shown: make(chan string, 1),
		ended: make(chan error, 1)}
	for name, text := range files {
		path := filepath.Join(e.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e.options = Options{Dirs: []farm.Dir{live.Dir(e.dir)}, maxOpen: 4096}
	toServer, fromEditor := io.Pipe()
	toEditor, fromServer := io.Pipe()
	go func() {
		e.ended <- Serve(toServer, fromServer, e.options)
		fromServer.Close()
	}()
	e.Client = jrpc2.NewClient(channel.LSP(toEditor, fromEditor), &jrpc2.ClientOptions{
		OnNotify: func(r *jrpc2.Request) {
			var p publishParams
			if r.Method() == "textDocument/publishDiagnostics" && r.UnmarshalParams(&p) == nil {
				e.told <- p
			}
			var m messageParams
			if r.Method() == "window/showMessage" && r.UnmarshalParams(&m) == nil {
				e.shown <- m.Message
			}
		},
	})
	t.Cleanup(func() { e.Client.Close() })
	return e
}

func (e *editor) uri(name string) string { return uriOf(filepath.Join(e.dir, name)) }

// call makes a request that must succeed.
func (e *editor) call(method string, params, result any) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := e.CallResult(ctx, method, params, result); err != nil {
		e.t.Fatalf("%s: %v", method, err)
	}
}

// refused makes a request that must fail with a code.
func (e *editor) refused(code jrpc2.Code, method string, params any) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := e.Call(ctx, method, params); jrpc2.ErrorCode(err) != code {
		e.t.Errorf("%s: %v, want the code %d", method, err, code)
	}
}

func (e *editor) notify(method string, params any) {
	e.t.Helper()
	if err := e.Notify(context.Background(), method, params); err != nil {
		e.t.Fatalf("%s: %v", method, err)
	}
}

func (e *editor) open(name, text string) {
	e.t.Helper()
	e.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": e.uri(name),
		"languageId": "toml", "version": 1, "text": text}})
}

// replace makes one change of a document.
func (e *editor) replace(name string, version int, at textRange, text string) {
	e.t.Helper()
	e.notify("textDocument/didChange", map[string]any{
		"textDocument":   map[string]any{"uri": e.uri(name), "version": version},
		"contentChanges": []map[string]any{{"range": at, "text": text}}})
}

// diagnostics waits for the diagnostics of a version of a document.
func (e *editor) diagnostics(name string, version int) []diagnostic {
	e.t.Helper()
	for late := time.After(20 * time.Second); ; {
		select {
		case p := <-e.told:
			if p.URI == e.uri(name) && p.Version != nil && *p.Version == version {
				return p.Diagnostics
			}
		case <-late:
			e.t.Fatalf("no diagnostics of %s", name)
		}
	}
}

// clean waits until a version of a document has no diagnostics. Ones that are older than a change of another document
// can be on their way.
func (e *editor) clean(name string, version int) {
	e.t.Helper()
	for len(e.diagnostics(name, version)) > 0 {
	}
}

// span2 makes a range.
func span2(line, from, toLine, to int) textRange {
	return textRange{position{line, from}, position{toLine, to}}
}

// marked takes the mark | out of a text, and gives its position.
func marked(t *testing.T, text string) (string, position) {
	t.Helper()
	before, after, found := strings.Cut(text, "|")
	if !found {
		t.Fatalf("no mark in %q", text)
	}
	return before + after, positionOf(before+after, len(before))
}

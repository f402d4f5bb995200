package lsp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/creachadair/jrpc2"

	"farmc/compiler/farm"
)

// Options say which directories belong together.
type Options struct {
	Dirs    []farm.Dir // of farms, as for a compiler. A document in none of them is compiled with its own directory
	Version string     // of farmc

	maxOpen int // size of all open documents together, in bytes; 0: maxOpen
}

// ErrNoExit reports that the editor ended without a word.
var ErrNoExit = errors.New("the editor closed the stream without shutdown and exit")

// Serve serves an editor until it says exit, or closes the stream. The error is nil only after shutdown and exit.
func Serve(in io.Reader, out io.WriteCloser, o Options) error {
	s := newServer(o)
	from := newMessages(in, out)
	s.rpc = jrpc2.NewServer(s, &jrpc2.ServerOptions{AllowPush: true, DisableBuiltin: true, Concurrency: concurrency})
	s.rpc.Start(from)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.checker.run(s)
	}()
	err := s.rpc.Wait()
	close(s.checker.done)
	<-done
	if err == nil && !(from.exited.Load() && s.state() == stateShutdown) {
		err = ErrNoExit
	}
	return err
}

// concurrency is the number of requests that run at once.
const concurrency = 4

// A state of a session.
type state int

// The states, in their order.
const (
	stateNew state = iota
	stateReady
	stateShutdown
)

// A server is a session with one editor.
type server struct {
	options Options
	rpc     *jrpc2.Server
	checker *checker
	methods map[string]jrpc2.Handler

	mu        sync.Mutex
	now       state
	client    clientCapabilities
	documents map[string]*document // by URI
}

func newServer(o Options) *server {
	s := &server{options: o, checker: newChecker(o.Dirs), documents: map[string]*document{}}
	ignore := func(context.Context, *jrpc2.Request) (any, error) { return nil, nil }
	s.methods = map[string]jrpc2.Handler{
		"initialize":                       typed(s.initialize),
		"initialized":                      ignore,
		"shutdown":                         s.shutdown,
		"$/cancelRequest":                  typed(s.cancel),
		"$/setTrace":                       ignore,
		"textDocument/didOpen":             typed(s.open),
		"textDocument/didChange":           typed(s.change),
		"textDocument/didSave":             typed(s.save),
		"textDocument/didClose":            typed(s.close),
		"textDocument/completion":          typed(s.complete),
		"textDocument/hover":               typed(s.hover),
		"textDocument/formatting":          typed(s.format),
		"workspace/didChangeConfiguration": ignore,
		"workspace/didChangeWatchedFiles":  typed(s.save),
	}
	return s
}

// typed decodes the parameters of a method.
func typed[P any](do func(context.Context, P) (any, error)) jrpc2.Handler {
	return func(ctx context.Context, r *jrpc2.Request) (any, error) {
		var p P
		if err := r.UnmarshalParams(&p); err != nil {
			return nil, err
		}
		return do(ctx, p)
	}
}

// Assign finds the method of a request; nil if there is none. The library answers such a request with an error, and
// drops such a notification.
func (s *server) Assign(_ context.Context, method string) jrpc2.Handler {
	do := s.methods[method]
	if do == nil {
		return nil
	}
	return func(ctx context.Context, r *jrpc2.Request) (any, error) {
		if err := s.admit(method); err != nil {
			return nil, err
		}
		result, err := do(ctx, r)
		if ctx.Err() != nil {
			return nil, jrpc2.Errorf(codeCancelled, "the editor cancelled %s", method)
		}
		return result, err
	}
}

// admit refuses methods out of their state.
func (s *server) admit(method string) error {
	switch now := s.state(); {
	case now == stateNew && method != "initialize":
		return jrpc2.Errorf(codeNotInitialized, "%s comes before initialize", method)
	case now == stateReady && method == "initialize":
		return jrpc2.Errorf(jrpc2.InvalidRequest, "initialize comes twice")
	case now == stateShutdown:
		return jrpc2.Errorf(jrpc2.InvalidRequest, "%s comes after shutdown", method)
	}
	return nil
}

func (s *server) state() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *server) initialize(_ context.Context, p initializeParams) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.client = stateReady, p.Capabilities
	return initializeResult{
		Capabilities: serverCapabilities{
			PositionEncoding:           "utf-16",
			TextDocumentSync:           syncOptions{OpenClose: true, Change: incremental, Save: true},
			CompletionProvider:         completionOptions{strings.Split(`[ . " ' @ = {`, " ")},
			HoverProvider:              true,
			DocumentFormattingProvider: true,
		},
		ServerInfo: serverInfo{"farmc", s.options.Version},
	}, nil
}

func (s *server) shutdown(context.Context, *jrpc2.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = stateShutdown
	return nil, nil
}

// cancel ends a request that still runs.
func (s *server) cancel(_ context.Context, p cancelParams) (any, error) {
	s.rpc.CancelRequest(strings.TrimSpace(string(p.ID)))
	return nil, nil
}

// maxOpen is the size of all open documents together, in bytes.
const maxOpen = 2 * maxMessage

func (s *server) open(ctx context.Context, p openParams) (any, error) {
	d := p.TextDocument
	return nil, s.keep(ctx, &document{d.URI, pathOf(d.URI), d.Version, d.Text})
}

func (s *server) change(ctx context.Context, p changeParams) (any, error) {
	d := s.document(p.TextDocument.URI)
	if d == nil {
		return nil, nil
	}
	changed, err := d.changed(p.TextDocument.Version, p.ContentChanges)
	if err != nil {
		return nil, err
	}
	return nil, s.keep(ctx, changed)
}

// keep keeps a document, if all documents together are not too large.
func (s *server) keep(ctx context.Context, d *document) error {
	s.mu.Lock()
	size := len(d.text)
	for uri, other := range s.documents {
		if uri != d.uri {
			size += len(other.text)
		}
	}
	tooLarge := size > cmp.Or(s.options.maxOpen, maxOpen)
	if tooLarge {
		delete(s.documents, d.uri)
	} else {
		s.documents[d.uri] = d
	}
	s.mu.Unlock()
	if tooLarge {
		const messageError = 1
		return s.rpc.Notify(ctx, "window/showMessage", messageParams{messageError, fmt.Sprintf(
			"farmc does not look at %s: the open documents have %d bytes together, too many", d.uri, size)})
	}
	s.checker.ask()
	return nil
}

// save compiles anew: other files may have changed, too.
func (s *server) save(context.Context, documentParams) (any, error) {
	s.checker.ask()
	return nil, nil
}

// close forgets a document and its diagnostics.
func (s *server) close(ctx context.Context, p documentParams) (any, error) {
	s.mu.Lock()
	delete(s.documents, p.TextDocument.URI)
	s.mu.Unlock()
	s.checker.ask()
	return nil, s.rpc.Notify(ctx, "textDocument/publishDiagnostics",
		publishParams{URI: p.TextDocument.URI, Diagnostics: []diagnostic{}})
}

// document gives an open document; nil if it is not open.
func (s *server) document(uri string) *document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.documents[uri]
}

// opened gives all open documents, and the capabilities of the editor.
func (s *server) opened() (out []*document, client clientCapabilities) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.documents {
		out = append(out, d)
	}
	return out, s.client
}

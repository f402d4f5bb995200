package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/creachadair/jrpc2"
)

const web = "listen = \"192.0.2.10:80\"\n[backends.b1]\naddress = \"10.0.0.1\"\n"

// TestDiagnostics: a fault of the open text arrives with its range, and goes when the text is right. The file on disk
// is another one.
func TestDiagnostics(t *testing.T) {
	e := newEditor(t, map[string]string{"web.toml": web})
	e.open("web.toml", "lisen = \"192.0.2.10:80\"\n[backends.b1]\naddress = \"10.0.0.1\"\nweight = 1001\n")
	got := e.diagnostics("web.toml", 1)
	want := []diagnostic{
		{Range: span2(0, 0, 0, 5), Severity: 1, Source: "farmc",
			Message: "unknown key \"lisen\"\nhint: did you mean \"listen\"?"},
		{Range: span2(3, 9, 3, 13), Severity: 1, Source: "farmc", Message: "weight is 1001, at most 1000"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	e.replace("web.toml", 2, span2(0, 0, 0, 5), "listen")
	e.replace("web.toml", 3, span2(3, 9, 3, 13), "10")
	if got := e.diagnostics("web.toml", 3); len(got) != 0 {
		t.Errorf("still %+v", got)
	}
}

// TestConflict: a conflict with a file that is not open stands in the open one, with the other place; and in both, if
// both are open, whichever of them the compiler blames.
func TestConflict(t *testing.T) {
	e := newEditor(t, map[string]string{"a.toml": web, "b.toml": web})
	e.open("a.toml", web)
	got := e.diagnostics("a.toml", 1)
	if len(got) != 1 || got[0].Range != span2(0, 9, 0, 24) || len(got[0].Related) != 1 ||
		got[0].Related[0].Location.URI != e.uri("b.toml") {
		t.Errorf("a: %+v", got)
	}
	e.open("b.toml", web)
	if got := e.diagnostics("b.toml", 1); len(got) != 1 || got[0].Related[0].Location.URI != e.uri("a.toml") {
		t.Errorf("b: %+v", got)
	}
	e.replace("b.toml", 2, span2(0, 18, 0, 20), "11")
	e.clean("a.toml", 1)
}

// TestDropInAndDefaults: drop-ins, defaults and lists are open documents, too.
func TestDropInAndDefaults(t *testing.T) {
	e := newEditor(t, map[string]string{"web.toml": web + "[access]\ndeny = \"@bad\"\n", "bad.list": "198.51.100.7\n"})
	e.open("web.toml.d/50-x.toml", "backends.b1.weigth = 2\n")
	if got := e.diagnostics("web.toml.d/50-x.toml", 1); len(got) != 1 || got[0].Range != span2(0, 12, 0, 18) {
		t.Errorf("drop-in: %+v", got)
	}
	e.open("_defaults.toml", "[limits]\nclients = 0\n")
	if got := e.diagnostics("_defaults.toml", 1); len(got) != 1 || got[0].Range.Start != (position{1, 10}) {
		t.Errorf("defaults: %+v", got)
	}
	e.open("bad.list", "198.51.100.7\n198.51.100\n")
	if got := e.diagnostics("bad.list", 1); len(got) != 1 || got[0].Range != span2(1, 0, 1, 10) {
		t.Errorf("list: %+v", got)
	}
}

// TestElsewhere: a file outside of the directories of farms is compiled with its own directory; a document without a
// file by itself.
func TestElsewhere(t *testing.T) {
	e := newEditor(t, map[string]string{"other/a.toml": web})
	e.open("other/b.toml", web)
	if got := e.diagnostics("other/b.toml", 1); len(got) != 1 || !strings.Contains(got[0].Message, "farm a") {
		t.Errorf("b: %+v", got)
	}
	e.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": "untitled:1",
		"version": 7, "text": "mode = \"dnta\"\n" + web}})
	for p := range e.told {
		if p.URI == "untitled:1" {
			if len(p.Diagnostics) != 1 || p.Diagnostics[0].Range != span2(0, 7, 0, 13) {
				t.Errorf("untitled: %+v", p.Diagnostics)
			}
			break
		}
	}
}

// TestClose: a closed document has no diagnostics, and the file on disk counts again.
func TestClose(t *testing.T) {
	e := newEditor(t, map[string]string{"a.toml": web})
	e.open("a.toml", strings.Replace(web, ".10:", ".11:", 1))
	e.open("b.toml", web)
	if got := e.diagnostics("b.toml", 1); len(got) != 0 {
		t.Errorf("b: %+v", got)
	}
	e.notify("textDocument/didClose", map[string]any{"textDocument": map[string]any{"uri": e.uri("a.toml")}})
	for len(e.diagnostics("b.toml", 1)) == 0 { // until it is beside the file of a
	}
}

// TestFormatting: the layout of farmc fmt arrives as an edit; a text with faults of TOML is refused.
func TestFormatting(t *testing.T) {
	e := newEditor(t, nil)
	e.open("a.toml", "[backends.b1]\naddress=\"10.0.0.1\"   # 😀\n[limits]\nnew=\"10/second\"")
	var edits []textEdit
	params := map[string]any{"textDocument": map[string]any{"uri": e.uri("a.toml")}, "options": map[string]any{}}
	e.call("textDocument/formatting", params, &edits)
	want := "[limits]\nnew = \"10/second\"\n\n[backends.b1]\naddress = \"10.0.0.1\"                  # 😀\n"
	if len(edits) != 1 || edits[0].NewText != want || edits[0].Range != span2(0, 0, 3, 15) {
		t.Fatalf("got %q", edits)
	}
	e.replace("a.toml", 2, edits[0].Range, edits[0].NewText)
	e.call("textDocument/formatting", params, &edits)
	if len(edits) != 0 {
		t.Errorf("formatted again: %q", edits)
	}
	e.replace("a.toml", 3, span2(0, 0, 0, 0), "=\n")
	e.refused(codeRequestFailed, "textDocument/formatting", params)
}

// TestStates: nothing is answered before initialize and after shutdown, unknown requests have an error, and unknown
// notifications none. After shutdown and exit Serve ends without an error.
func TestStates(t *testing.T) {
	e := unready(t, nil)
	about := map[string]any{"textDocument": map[string]any{"uri": e.uri("a.toml")}, "position": position{}}
	e.refused(codeNotInitialized, "textDocument/hover", about)
	e.open("a.toml", "=")
	e.call("initialize", map[string]any{"capabilities": map[string]any{}}, &initializeResult{})
	e.refused(jrpc2.InvalidRequest, "initialize", map[string]any{})
	e.refused(jrpc2.MethodNotFound, "textDocument/rename", about)
	e.refused(jrpc2.MethodNotFound, "$/unknown", about)
	e.refused(jrpc2.InvalidParams, "textDocument/hover", []int{1})
	e.notify("workspace/unknown", map[string]any{})
	e.notify("$/unknown", map[string]any{})
	var nothing json.RawMessage
	e.call("textDocument/hover", about, &nothing) // of a document that is not open: didOpen came too early
	if string(nothing) != "null" {
		t.Errorf("hover of an unknown document: %s", nothing)
	}
	e.call("shutdown", nil, &nothing)
	e.refused(jrpc2.InvalidRequest, "textDocument/hover", about)
	e.notify("exit", nil)
	e.ends(nil)
}

// ends waits for the end of Serve.
func (e *editor) ends(want error) {
	e.t.Helper()
	select {
	case err := <-e.ended:
		if !errors.Is(err, want) {
			e.t.Errorf("Serve ends with %v, want %v", err, want)
		}
	case <-time.After(10 * time.Second):
		e.t.Error("Serve does not end")
	}
}

// TestNoExit: an editor that dies, or says exit without shutdown, is an error.
func TestNoExit(t *testing.T) {
	e := newEditor(t, nil)
	e.notify("exit", nil)
	e.ends(ErrNoExit)
	e = newEditor(t, nil)
	e.Client.Close()
	e.ends(ErrNoExit)
}

// TestCancel: a request that still runs ends with the error of the protocol.
func TestCancel(t *testing.T) {
	o := Options{}
	s := newServer(o)
	s.now = stateReady
	started := make(chan struct{})
	s.methods["slow"] = func(ctx context.Context, _ *jrpc2.Request) (any, error) {
		close(started)
		<-ctx.Done()
		return "late", nil
	}
	toServer, fromEditor := io.Pipe()
	toEditor, fromServer := io.Pipe()
	s.rpc = jrpc2.NewServer(s, &jrpc2.ServerOptions{AllowPush: true}).Start(newMessages(toServer, fromServer))
	defer s.rpc.Stop()
	go func() {
		fmt.Fprint(fromEditor, frame(`{"jsonrpc":"2.0","id":"a b","method":"slow"}`))
		<-started
		fmt.Fprint(fromEditor, frame(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"a b"}}`))
	}()
	reply, err := newMessages(toEditor, fromServer).Recv()
	if err != nil || !strings.Contains(string(reply), `"code":-32800`) || !strings.Contains(string(reply), `"a b"`) {
		t.Errorf("%s, %v", reply, err)
	}
}

func frame(text string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(text), text) }

// TestMessages: headers and sizes are bounded, before memory is taken for them.
func TestMessages(t *testing.T) {
	for _, test := range []struct{ rule, stream, want string }{
		{"whole", frame("{}"), "{}"},
		{"content-type", "content-type: x\r\ncontent-length:2\r\n\r\n{}", "{}"},
		{"line feeds", "Content-Length: 2\n\n{}", "{}"},
		{"no length", "X: 1\r\n\r\n{}", "a message has no Content-Length"},
		{"no number", "Content-Length: -1\r\n\r\n", `Content-Length is "-1", not a number`},
		{"too large", "Content-Length: 67108865\r\n\r\n", "a message has 67108865 bytes, at most 67108864"},
		{"huge", "Content-Length: 99999999999999999999\r\n\r\n",
			`Content-Length is "99999999999999999999", not a number`},
		{"cut off", "Content-Length: 9\r\n\r\n{}", "a message of 9 bytes is cut off: unexpected EOF"},
		{"headers cut off", "Content-Length: 9\r\n", "the headers of a message are cut off: EOF"},
		{"long header", strings.Repeat("x", 1<<20), "the headers of a message have more than 4096 bytes"},
		{"many headers", strings.Repeat("x:y\r\n", 1<<20), "the headers of a message have more than 4096 bytes"},
		{"end", "", "EOF"},
		{"exit", frame(`{"jsonrpc":"2.0","method":"exit"}`), "EOF"},
		{"a text about exit", frame(`{"method":"x","params":"exit"}`), `{"method":"x","params":"exit"}`},
	} {
		text, err := newMessages(strings.NewReader(test.stream), nil).Recv()
		got := string(text)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.rule, got, test.want)
		}
	}
}

// TestOpenDocumentsAreBounded: a document beyond the bound is not kept, and the editor shows that.
func TestOpenDocumentsAreBounded(t *testing.T) {
	e := newEditor(t, nil)
	e.open("a.toml", strings.Repeat("#", 3000))
	e.open("b.toml", "# b")
	e.replace("b.toml", 2, span2(0, 0, 0, 0), strings.Repeat("#", 3000))
	if got := <-e.shown; !strings.Contains(got, "b.toml: the open documents have 6003 bytes") {
		t.Errorf("shown: %s", got)
	}
	var nothing json.RawMessage
	e.call("textDocument/formatting", map[string]any{"textDocument": map[string]any{"uri": e.uri("b.toml")}}, &nothing)
	if string(nothing) != "null" {
		t.Errorf("b.toml is formatted: %s", nothing)
	}
	e.open("b.toml", "# b")
	if got := e.diagnostics("b.toml", 1); len(got) == 0 {
		t.Error("b.toml is not looked at again")
	}
}

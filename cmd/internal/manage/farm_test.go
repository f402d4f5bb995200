package manage

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
)

func document(t *testing.T, text string) edit.Document {
	t.Helper()
	d, faults := edit.Decode(strings.NewReader(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return d
}

const webDocument = `{"listen": "192.0.2.1:80",
	"backends": {"b1": {"address": "10.0.0.1"}, "b2": {"address": "10.0.0.2"}}}`

// The files of a farm after a write: a new one in the first directory, no change for equal keys, a copy of a text that
// a person wrote, and edits that keep all other bytes.
func TestWritesOfFarms(t *testing.T) {
	s := newSite(t, nil)
	s.do(PutFarm("web", document(t, webDocument), always))
	s.has("etc/web.toml", "state/written/web")
	created := s.text("etc/web.toml")
	if !strings.HasPrefix(created, edit.WrittenBy) {
		t.Errorf("the file is\n%s", created)
	}
	r := s.do(PutFarm("web", document(t, webDocument), always))
	if len(r.Changes) > 0 || s.text("etc/web.toml") != created {
		t.Errorf("the same again changes %v", r.Changes)
	}
	s.write("etc/web.toml", web) // by a person, who adds a comment
	if s.do(PutFarm("web", document(t, webDocument), always)); s.text("etc/web.toml") != web {
		t.Errorf("equal keys replace the text by\n%s", s.text("etc/web.toml"))
	}
	s.do(PatchFarm("web", document(t, `{"backends": {"b1": {"weight": 3}}}`), always))
	want := strings.Replace(web, "\"10.0.0.1\" # first\n", "\"10.0.0.1\" # first\nweight = 3\n", 1)
	if s.text("etc/web.toml") != want {
		t.Errorf("the patched text is\n%s", s.text("etc/web.toml"))
	}
	s.do(PutFarm("web", document(t, webDocument), always))
	if copies, _ := filepath.Glob(s.at("state/deleted/web.toml.*")); len(copies) != 1 {
		t.Errorf("copies: %v", copies)
	}
}

// A condition is asked with the keys of file and drop-ins; nil stands for no farm.
func TestConditions(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web, "run/web.toml.d/x.toml": "backends.b1.weight = 5\n"})
	refused := errors.New("another version")
	var asked []string
	refuse := func(now json.RawMessage) error {
		asked = append(asked, string(now))
		return refused
	}
	for _, w := range []live.Write{PutFarm("web", nil, refuse), PatchFarm("web", nil, refuse),
		DeleteFarm("web", refuse), PutBackend("web", "b1", nil, refuse), PatchBackend("web", "b1", nil, refuse),
		DeleteBackend("web", "b1", refuse),
		PutFarm("new", nil, refuse), PutBackend("web", "b3", nil, refuse)} {
		if r := s.engine.Write(t.Context(), w); !errors.Is(r.Err, refused) {
			t.Errorf("%s: %v", w.Item, r.Err)
		}
	}
	for i, now := range asked {
		if want := i < 6; strings.Contains(now, `"weight":5`) != want || (now == "") == want {
			t.Errorf("condition %d is asked with %s", i, now)
		}
	}
	if s.has("etc/web.toml", "run/web.toml.d/x.toml"); s.text("etc/web.toml") != web || len(asked) != 8 {
		t.Errorf("asked %d times, and the file is\n%s", len(asked), s.text("etc/web.toml"))
	}
}

// Writes that no file can take are errors, and change nothing.
func TestRefusedWrites(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web, "etc/torn.toml": "listen = [\n",
		"etc/mail.toml":          strings.ReplaceAll(web, "192.0.2.1", "192.0.2.2"),
		"run/web.toml.d/x.toml":  "backends.b1.weight = 5\n",
		"run/mail.toml.d/x.toml": "backends.b1.address = \"10.0.0.3\"\n"})
	if err := os.Symlink("/dev/null", s.at("run/masked.toml")); err != nil {
		t.Fatal(err)
	}
	weight := document(t, `{"weight": 2}`)
	before := s.files()
	for _, c := range []struct {
		write live.Write
		want  string
	}{
		{PatchFarm("none", nil, always), "there is no such farm"},
		{DeleteFarm("none", always), "there is no such farm"},
		{DeleteFarm("../etc/web", always), "there is no such farm"},
		{PutBackend("none", "b1", weight, always), "there is no such farm"},
		{PatchBackend("web", "b3", weight, always), "there is no such backend"},
		{DeleteBackend("web", "b3", always), "there is no such backend"},
		{PutFarm("masked", document(t, webDocument), always), "is a link to /dev/null"},
		{PatchFarm("torn", document(t, `{"mode": "dsr"}`), always), "torn.toml is not TOML: "},
		{PatchBackend("web", "b1", weight, always), "x.toml overrides this key"},
		{DeleteBackend("mail", "b1", always), "x.toml has it as well"},
	} {
		r := s.engine.Write(t.Context(), c.write)
		if r.Err == nil || !strings.Contains(r.Err.Error(), c.want) {
			t.Errorf("%v, want %s", r.Err, c.want)
		}
	}
	s.engine.ReadOnly = []string{s.at("etc")}
	if r := s.engine.Write(t.Context(), PatchFarm("web", nil, always)); !errors.As(r.Err, new(Blocked)) {
		t.Errorf("in a read-only directory: %v", r.Err)
	}
	s.has(before...)
}

// A client that reads a farm and puts all of it back leaves the values of drop-ins to the drop-ins.
func TestPutWhatWasRead(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web, "run/web.toml.d/x.toml": "backends.b1.state = \"drain\"\n"})
	read := func() edit.Document {
		var now json.RawMessage
		s.engine.Write(t.Context(), PatchFarm("web", nil, func(document json.RawMessage) error {
			now = document
			return errors.New("only a look")
		}))
		return document(t, string(now))
	}
	whole := read()
	if lookup(whole, []string{"backends", "b1", "state"}) != "drain" {
		t.Fatalf("the farm is %v", whole)
	}
	whole["backends"].(map[string]any)["b2"].(map[string]any)["weight"] = int64(7)
	s.do(PutFarm("web", whole, always))
	if text := s.text("etc/web.toml"); strings.Contains(text, "drain") || !strings.Contains(text, "weight = 7") {
		t.Errorf("the file is\n%s", text)
	}
	b1, _ := lookup(read(), []string{"backends", "b1"}).(map[string]any)
	s.do(PutBackend("web", "b1", edit.Document(b1), always))
	if text := s.text("etc/web.toml"); strings.Contains(text, "drain") {
		t.Errorf("the file is\n%s", text)
	}
}

// Inherited values are never written to the file of a farm, unless a client gives a key another value, or names it in a
// patch.
func TestInheritedKeysAreNotWritten(t *testing.T) {
	const defaults = "[limits]\nclients = 9\nnew-per-client = { rate = \"5/second\" }\nstrict-tcp = true\n"
	s := newSite(t, map[string]string{"etc/web.toml": web, "etc/_defaults.toml": defaults})
	var now json.RawMessage
	s.engine.Write(t.Context(), PatchFarm("web", nil, func(document json.RawMessage) error {
		now = document
		return errors.New("only a look")
	}))
	whole := document(t, string(now))
	if lookup(whole, []string{"limits", "clients"}) != int64(9) {
		t.Fatalf("the farm is %v", whole)
	}
	whole["limits"].(map[string]any)["clients"] = int64(7)
	s.do(PutFarm("web", whole, always))
	text := s.text("etc/web.toml")
	if strings.Contains(text, "new-per-client") || strings.Contains(text, "strict-tcp") ||
		!strings.Contains(text, "clients = 7") {
		t.Errorf("the file is\n%s", text)
	}
	s.do(PatchFarm("web", document(t, `{"limits": {"clients": null}}`), always))
	s.do(PatchFarm("web", document(t, `{"state": "down"}`), always))
	if text = s.text("etc/web.toml"); strings.Contains(text, "clients") || strings.Contains(text, "strict") {
		t.Errorf("after a patch the file is\n%s", text)
	}
	s.do(PatchFarm("web", document(t, `{"limits": {"strict-tcp": true}}`), always))
	if text = s.text("etc/web.toml"); !strings.Contains(text, "strict-tcp = true") {
		t.Errorf("after a patch of an inherited key the file is\n%s", text)
	}
	if s.text("etc/_defaults.toml") != defaults {
		t.Error("the defaults are written")
	}
}

// A backend that is put has the keys of the document alone; the rest of the file keeps its bytes.
func TestPutBackend(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web})
	s.do(PutBackend("web", "b2", document(t, `{"address": "10.0.0.9", "weight": 4}`), always))
	want := strings.Replace(web, `"10.0.0.2"`, "\"10.0.0.9\"\nweight = 4", 1)
	if s.text("etc/web.toml") != want {
		t.Errorf("the file is\n%s", s.text("etc/web.toml"))
	}
	s.do(PutBackend("web", "b2", document(t, `{"address": "10.0.0.2"}`), always))
	s.do(PutBackend("web", "b3", document(t, `{"address": "10.0.0.3"}`), always))
	if s.do(DeleteBackend("web", "b3", always)); s.text("etc/web.toml") != web {
		t.Errorf("back again, the file is\n%s", s.text("etc/web.toml"))
	}
}

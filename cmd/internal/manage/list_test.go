package manage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
)

// A change of a list keeps comments and the lines of other entries.
func TestListEdit(t *testing.T) {
	const before = "# of last week\n198.51.100.0/24 ; a network\n203.0.113.9\n\n2001:db8::/32"
	for _, c := range []struct {
		add, remove, want string // words separated by spaces
		words             string
	}{
		{"203.0.113.9", "", before + "\n", ""}, // it is there already
		{"192.0.2.1 192.0.2.1/32", "", before + "\n192.0.2.1\n", "entries added: 1"},
		{"", "203.0.113.9/32 192.0.2.7", strings.Replace(before, "203.0.113.9\n", "", 1), "entries removed: 1"},
		{"", "2001:DB8:0::/32", strings.TrimSuffix(before, "2001:db8::/32"), "entries removed: 1"},
	} {
		change := &ListChange{Name: "bad", Add: strings.Fields(c.add), Remove: strings.Fields(c.remove)}
		if got := string(change.edit([]byte(before))); got != c.want {
			t.Errorf("add %q, remove %q: %q, want %q", c.add, c.remove, got, c.want)
		}
		if words := strings.Join(change.Words(), "; "); words != c.words {
			t.Errorf("add %q, remove %q: %q, want %q", c.add, c.remove, words, c.words)
		}
	}
	last := &ListChange{Remove: []string{"192.0.2.1"}}
	if got := string(last.edit([]byte("192.0.2.1\n"))); got != "# no entries\n" {
		t.Errorf("without its last entry a list is %q", got)
	}
}

// A list that a farm's file names stays, also if the farm is not loaded so, or gets the list by another write.
func TestListInUse(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web + "[access]\ndeny = [\"@l1\"]\n",
		"etc/l1.list": "192.0.2.7\n", "etc/l2.list": "192.0.2.8\n"})
	if _, _, err := s.engine.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	remove := func(list string) live.Write { return (&ListChange{Name: list, Delete: true}).Write() }
	patch := PatchFarm("web", edit.Document{"access": map[string]any{"deny": []any{"@l2"}}}, always)
	for _, writes := range [][]live.Write{{remove("l2"), patch}, {patch, remove("l2")}} {
		s.write("etc/web.toml", strings.Replace(s.text("etc/web.toml"), "@l2", "@l1", 1))
		for i, r := range s.engine.WriteAll(t.Context(), writes) {
			refused, isList := errors.As(r.Err, new(Blocked)), writes[i].Item == "l2.list"
			if refused != isList || !refused && r.Err != nil {
				t.Errorf("%s: %v %v", writes[i].Item, r.Err, r.Diagnostics)
			}
		}
	}
	s.write("etc/web.toml", strings.Replace(s.text("etc/web.toml"), "@l2", "@l1", 1)) // a person's edit, not loaded
	if r := s.engine.Write(t.Context(), remove("l1")); !errors.As(r.Err, new(Blocked)) {
		t.Error(r.Err)
	}
	if r := s.engine.Write(t.Context(), remove("l2")); r.Err != nil {
		t.Error(r.Err)
	}
	s.has("etc/l1.list", "etc/web.toml")
}

// A list is created, replaced and deleted by its file; a condition can refuse each of these.
func TestWritesOfLists(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web})
	s.do((&ListChange{Name: "bad", Whole: []byte("198.51.100.0/24\n")}).Write())
	s.has("etc/bad.list", "etc/web.toml", "state/written/@bad")
	refused := errors.New("another version")
	for _, change := range []*ListChange{{Whole: []byte("# none\n")}, {Add: []string{"192.0.2.1"}}, {Delete: true}} {
		change.Name, change.Admit = "bad", func(before []byte) error {
			if string(before) != "198.51.100.0/24\n" {
				t.Errorf("the text before is %q", before)
			}
			return refused
		}
		if r := s.engine.Write(t.Context(), change.Write()); !errors.Is(r.Err, refused) {
			t.Error(r.Err)
		}
	}
	s.write("run/bad.list", "203.0.113.0/24\n") // of higher precedence: changes go there
	s.do((&ListChange{Name: "bad", Add: []string{"192.0.2.1"}}).Write())
	if got := s.text("run/bad.list"); got != "203.0.113.0/24\n192.0.2.1\n" {
		t.Errorf("the list is %q", got)
	}
	s.do((&ListChange{Name: "bad", Delete: true}).Write())
	s.has("etc/bad.list", "etc/web.toml")
}

// A list that goes is kept, and so is one of a person that another text replaces. Texts that a program sends again and
// again are not.
func TestCopiesOfLists(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web, "etc/bad.list": "# of a person\n"})
	copies := func(want int) {
		t.Helper()
		if found, _ := filepath.Glob(s.at("state/deleted/bad.list.*")); len(found) != want {
			t.Errorf("%d copies, want %d: %v", len(found), want, found)
		}
	}
	change := func(c ListChange) {
		c.Name = "bad"
		s.do(c.Write())
	}
	change(ListChange{Add: []string{"192.0.2.1"}})
	copies(0)
	change(ListChange{Whole: []byte("192.0.2.2\n")})
	copies(1)
	change(ListChange{Whole: []byte("192.0.2.3\n")})
	change(ListChange{Add: []string{"192.0.2.4"}})
	change(ListChange{Whole: []byte("192.0.2.5\n")})
	copies(1)
	change(ListChange{Delete: true})
	copies(2)
	s.has("etc/web.toml")
	first, _ := filepath.Glob(s.at("state/deleted/bad.list.*"))
	if text, _ := os.ReadFile(first[0]); string(text) != "# of a person\n192.0.2.1\n" {
		t.Errorf("the copy is %q", text)
	}
}

// Of the copies the oldest ones go, also if a replaced text is the one too many.
func TestCopiesAreLimited(t *testing.T) {
	s := newSite(t, map[string]string{"etc/web.toml": web, "etc/bad.list": "# of a person\n"})
	for n := range maxDeleted {
		s.write(fmt.Sprintf("state/deleted/old.toml.20200101T%06d.000000000Z", n), "x")
	}
	s.do((&ListChange{Name: "bad", Whole: []byte("192.0.2.2\n")}).Write())
	s.do(PutFarm("web", document(t, strings.Replace(webDocument, "0.1\"", "0.7\"", 1)), always))
	left, _ := filepath.Glob(s.at("state/deleted/*"))
	_, err := os.Stat(s.at("state/deleted/old.toml.20200101T000001.000000000Z"))
	if len(left) != maxDeleted || err == nil {
		t.Errorf("%d copies are left; the second one: %v", len(left), err)
	}
}

// A list in a directory that programs must not write to stays, and none comes into it.
func TestWritesOfReadOnlyLists(t *testing.T) {
	s := newSite(t, map[string]string{"run/web.toml": web, "etc/bad.list": "198.51.100.0/24\n"})
	s.engine.ReadOnly = []string{s.at("etc") + "/"}
	for _, change := range []*ListChange{{Name: "bad", Whole: []byte("# none\n")}, {Name: "bad", Delete: true},
		{Name: "bad", Add: []string{"192.0.2.1"}}, {Name: "new", Whole: []byte("# none\n")}} {
		if r := s.engine.Write(t.Context(), change.Write()); !errors.As(r.Err, new(Blocked)) {
			t.Errorf("list %s: %v", change.Name, r.Err)
		}
	}
	s.has("etc/bad.list", "run/web.toml")
	if got := s.text("etc/bad.list"); got != "198.51.100.0/24\n" {
		t.Errorf("the list is %q", got)
	}
}

// The merge patch that makes a table the new one removes keys that are gone, at each depth.
func TestReplacement(t *testing.T) {
	old := map[string]any{"a": int64(1), "gone": int64(2), "t": map[string]any{"x": int64(1), "y": int64(2)}}
	now := map[string]any{"a": int64(3), "t": map[string]any{"y": int64(2)}, "new": "n"}
	patch := replacement(old, now)
	table := patch["t"].(map[string]any)
	if _, has := patch["gone"]; !has || patch["gone"] != nil || patch["a"] != int64(3) || patch["new"] != "n" ||
		table["x"] != nil || table["y"] != int64(2) || len(table) != 2 || len(patch) != 4 {
		t.Errorf("%v", patch)
	}
}

// The paths of values in a document are those of its leaves, and empty tables.
func TestLeaves(t *testing.T) {
	document := map[string]any{"b": map[string]any{"x": int64(1), "e": map[string]any{}}, "a": []any{int64(1)}}
	var got []string
	for _, path := range leaves(nil, document) {
		got = append(got, strings.Join(path, "."))
	}
	if !slices.Equal(got, []string{"a", "b.e", "b.x"}) {
		t.Error(got)
	}
	for path, want := range map[string]bool{"b.x": true, "b.y": false, "a.z": true, "c": false} {
		if touches(document, strings.Split(path, ".")) != want {
			t.Errorf("touches %s is %v", path, !want)
		}
	}
	out := copyOf(document).(map[string]any)
	restore(out, []string{"b", "x"}, nil)
	restore(out, []string{"b", "e"}, nil)
	restore(out, []string{"a"}, "old")
	if out["b"] != nil || out["a"] != "old" || document["a"] == "old" || len(document) != 2 {
		t.Errorf("%v, of %v", out, document)
	}
}

package edit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestRandomEdits patches random documents in random spellings: the result is the document that RFC 7396 defines, and
// all bytes outside of the named keys stay.
func TestRandomEdits(t *testing.T) {
	edits := 10000
	if testing.Short() {
		edits = 1000
	}
	changed := 0
	for seed := range edits {
		random := rand.New(rand.NewPCG(13, uint64(seed)))
		e := randomEdit(random)
		if e.check(t); t.Failed() {
			t.Fatalf("seed %d, patch %v\nbefore\n%s\nafter\n%s", seed, e.patch, joined(e.segments), e.after)
		}
		if !reflect.DeepEqual(e.old, e.want) {
			changed++
		}
	}
	if changed < edits*9/10 {
		t.Errorf("only %d of %d edits change something", changed, edits)
	}
}

// An edit is a text, a patch, and the documents before and after.
type edit struct {
	old, patch, want map[string]any
	segments         []segment
	after            string
}

func randomEdit(random *rand.Rand) *edit {
	e := &edit{old: randomTable(random, nil, 0), patch: map[string]any{}}
	e.segments = spell(random, e.old)
	for range 1 + random.IntN(4) {
		randomChange(random, nil, e.old, e.patch)
	}
	e.want = referenceMerge(e.old, e.patch).(map[string]any)
	return e
}

// referenceMerge is the pseudocode of RFC 7396, section 2.
func referenceMerge(target, patch any) any {
	if patch, isObject := patch.(map[string]any); isObject {
		merged := map[string]any{}
		if target, isObject := target.(map[string]any); isObject {
			for name, value := range target {
				merged[name] = value
			}
		}
		for name, value := range patch {
			if value == nil {
				delete(merged, name)
			} else {
				merged[name] = referenceMerge(merged[name], value)
			}
		}
		return merged
	}
	return patch
}

// vocabulary has the names of tables at each level: keys of farms, and names that are hard to spell.
func vocabulary(at []string) []string {
	switch {
	case len(at) == 0:
		return []string{"mode", "listen", "hash-on", "limits", "access", "log", backends, backends, backends,
			"é \"x"}
	case len(at) == 1 && at[0] == backends:
		return []string{"b1", "b2", "b3", "b4", "b5"}
	case at[0] == backends:
		return []string{"address", "weight", "port", "state", "mark", "a b"}
	}
	return []string{"new", "rate", "burst", "x.y", "deep", "on"}
}

func randomTable(random *rand.Rand, at []string, least int) map[string]any {
	table := map[string]any{}
	for range least + random.IntN(6) {
		name := pick(random, vocabulary(at)...)
		table[name] = randomValue(random, below(at, name))
	}
	return table
}

func randomValue(random *rand.Rand, at []string) any {
	isTable := keyOrder().heading(at) && random.IntN(10) > 0 || len(at) < 4 && random.IntN(5) == 0
	switch random.IntN(6) {
	case 0:
		return random.Int64N(1000) - 100
	case 1:
		return random.IntN(2) == 0
	case 2:
		if !isTable {
			return randomList(random, at)
		}
	case 3:
		if !isTable {
			return float64(random.IntN(100)) / 8
		}
	}
	if isTable {
		return randomTable(random, at, 0)
	}
	return pick(random, "10.0.0.1", "", "it's", "a\tb\nc", "\"quoted\\", "é\U0001f600\u202e\x7f", "drain")
}

func randomList(random *rand.Rand, at []string) []any {
	list := []any{}
	for range random.IntN(4) {
		list = append(list, randomValue(random, append(at[:len(at):len(at)], "a", "b", "c", "d")))
	}
	if random.IntN(5) == 0 {
		return []any{map[string]any{"x": int64(1)}, map[string]any{}}
	}
	return list
}

// randomChange adds a change of a table to a patch: most of them of keys that are there.
func randomChange(random *rand.Rand, at []string, old, patch map[string]any) {
	name := pick(random, vocabulary(at)...)
	if known := names(old); len(known) > 0 && random.IntN(3) > 0 {
		name = pick(random, known...)
	}
	if table, isTable := old[name].(map[string]any); isTable && random.IntN(4) > 0 {
		changes, isObject := patch[name].(map[string]any)
		if !isObject {
			changes = map[string]any{}
			patch[name] = changes
		}
		randomChange(random, below(at, name), table, changes)
		return
	}
	patch[name] = nil
	if random.IntN(3) > 0 {
		patch[name] = randomValue(random, below(at, name))
	}
}

func (e *edit) check(t *testing.T) {
	before := joined(e.segments)
	if got, faults := Read([]byte(before)); len(faults) > 0 || !reflect.DeepEqual(map[string]any(got), e.old) {
		t.Errorf("the speller wrote %v %s, not %v", got, faults, e.old)
		return
	}
	after, faults := Patch([]byte(before), e.patch)
	e.after = string(after)
	if len(faults) > 0 {
		t.Errorf("faults: %s", faults)
		return
	}
	if got, faults := Read(after); len(faults) > 0 || !reflect.DeepEqual(map[string]any(got), e.want) {
		t.Errorf("got %v %s\nwant %v", got, faults, e.want)
	}
	if again, _ := Patch(after, e.patch); !bytes.Equal(again, after) {
		t.Errorf("the same patch changes the result again: %s", again)
	}
	e.checkBytes(t, before)
}

// checkBytes finds the segments that have to stay in the text after the edit, and looks at the text between them.
func (e *edit) checkBytes(t *testing.T, before string) {
	if reflect.DeepEqual(e.old, e.want) {
		if e.after != before {
			t.Error("a patch without effect changes the text")
		}
		return
	}
	kept := e.kept()
	rest := e.after
	for i, s := range kept {
		text := s.text
		if i == len(kept)-1 && !strings.HasSuffix(before, "\n") {
			text = strings.TrimRight(text, "\r\n")
		}
		at := strings.Index(rest, text)
		if at < 0 {
			t.Errorf("%q of %q is gone", text, s.at)
			return
		}
		checkComments(t, before, rest[:at])
		rest = rest[at+len(text):]
	}
	checkComments(t, before, rest)
	blank := strings.TrimSpace(strings.Trim(before, byteOrderMark)) == "" || strings.TrimSpace(e.after) == ""
	lastGoes := len(e.segments) > 0 && e.mayGo(e.segments[len(e.segments)-1])
	if !blank && !lastGoes && strings.HasSuffix(before, "\n") != strings.HasSuffix(e.after, "\n") {
		t.Error("the end of the text changes")
	}
	if exact, known := e.exact(); known && exact != e.after {
		t.Errorf("only values change, want\n%s", exact)
	}
}

// checkComments finds comments in new text: only whole lines of sections that go may be there.
func checkComments(t *testing.T, before, added string) {
	for line := range strings.Lines(added) {
		if strings.Contains(line, "#") && !strings.Contains(before, line) {
			t.Errorf("%q is new in %q", line, added)
		}
	}
}

// kept gives the segments that have to stay.
func (e *edit) kept() (out []segment) {
	for i, s := range e.segments {
		if !e.mayGo(s) && !(isBlank(s) && e.besideRemovedSection(i)) {
			out = append(out, s)
		}
	}
	return out
}

func isBlank(s segment) bool { return s.kind == fillerSegment && strings.TrimSpace(s.text) == "" }

// besideRemovedSection reports whether a blank line is the last before, or the first after, a section that goes.
func (e *edit) besideRemovedSection(i int) bool {
	gone := func(j int) bool { return j >= 0 && j < len(e.segments) && e.mayGo(e.segments[j]) }
	return i+1 < len(e.segments) && e.segments[i+1].kind == headingSegment && gone(i+1) || gone(i-1)
}

// mayGo reports whether a segment belongs to a key that the patch removes or replaces.
func (e *edit) mayGo(s segment) bool {
	at, fate := e.fate(s.at)
	switch {
	case fate == removed:
		return true
	case fate == replaced:
		wholeKey := s.kind == keySegment || s.kind == tailSegment || s.kind == remarkSegment
		return !(wholeKey && len(at) == len(s.at) && e.inOneStatement(at))
	}
	return s.kind == glueSegment && e.itemsChange(s.at)
}

type fate int

const (
	untouched fate = iota
	removed
	replaced
)

// fate gives the change of a key, and the key, or the one above, that the patch names.
func (e *edit) fate(key []string) (at []string, is fate) {
	patch, old, want := any(e.patch), any(e.old), any(e.want)
	for i, name := range key {
		changes, isObject := patch.(map[string]any)
		table, isTable := old.(map[string]any)
		change, named := changes[name]
		if !isObject || !isTable || !named {
			return nil, untouched
		}
		patch, old, want = change, table[name], want.(map[string]any)[name]
		_, isObject = patch.(map[string]any)
		_, isTable = old.(map[string]any)
		switch {
		case patch == nil:
			return key[:i+1], removed
		case isObject && isTable:
		case reflect.DeepEqual(old, want):
			return nil, untouched
		default:
			return key[:i+1], replaced
		}
	}
	return nil, untouched
}

// inOneStatement reports whether the text has an assignment of the key itself.
func (e *edit) inOneStatement(key []string) bool {
	return slices.ContainsFunc(e.segments, func(s segment) bool {
		return s.kind == keySegment && slices.Equal(s.at, key)
	})
}

// itemsChange reports whether an inline table gets or loses items, in itself or in a dotted table.
func (e *edit) itemsChange(key []string) bool {
	old, want := any(e.old), any(e.want)
	for _, name := range key {
		before, isTable := old.(map[string]any)
		after, isTable2 := want.(map[string]any)
		if !isTable || !isTable2 {
			return true
		}
		old, want = before[name], after[name]
	}
	return !sameShape(old, want)
}

func sameShape(old, want any) bool {
	before, isTable := old.(map[string]any)
	after, isTable2 := want.(map[string]any)
	if !isTable && !isTable2 {
		return true
	}
	if isTable != isTable2 || len(before) != len(after) {
		return false
	}
	for name := range before {
		if _, known := after[name]; !known || !sameShape(before[name], after[name]) {
			return false
		}
	}
	return true
}

// exact gives the text after an edit that changes only values, if it is one.
func (e *edit) exact() (text string, known bool) {
	if !sameShape(e.old, e.want) {
		return "", false
	}
	for i, s := range e.segments {
		_, fate := e.fate(s.at)
		switch {
		case fate == untouched:
			text += s.text
		case s.kind == valueSegment && fate == replaced:
			value := any(e.want)
			for _, name := range s.at {
				value = value.(map[string]any)[name]
			}
			text += keyOrder().wrapped(s.at, value, lines(joined(e.segments)).endOfLine(len(joined(e.segments[:i]))))
		case s.kind == keySegment || s.kind == tailSegment || s.kind == remarkSegment:
			text += s.text
		default:
			return "", false
		}
	}
	return text, true
}

// TestAddAndRemove: a backend that is added and removed again leaves the text as it was.
func TestAddAndRemove(t *testing.T) {
	tried := 0
	for seed := range 2000 {
		random := rand.New(rand.NewPCG(14, uint64(seed)))
		old := randomTable(random, nil, 3)
		if table, isTable := old[backends].(map[string]any); !isTable || len(table) == 0 {
			continue
		}
		tried++
		before := joined(spell(random, old))
		change := func(text []byte, value any) []byte {
			out, faults := Patch(text, Document{backends: map[string]any{"new": value}})
			if len(faults) > 0 {
				t.Fatalf("seed %d: %s\n%s", seed, faults, text)
			}
			return out
		}
		added := change([]byte(before), map[string]any{"address": "10.0.0.9", "weight": int64(7)})
		if after := change(added, nil); string(after) != before {
			t.Fatalf("seed %d\nbefore\n%q\nadded\n%q\nafter\n%q", seed, before, added, after)
		}
	}
	if tried < 500 {
		t.Errorf("only %d texts have a backend", tried)
	}
}

func (s segment) String() string { return fmt.Sprintf("%q", s.text) }

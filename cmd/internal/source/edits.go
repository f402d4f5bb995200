package source

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"farmc/compiler/toml"
)

// Edits returns a digest of each farm and list by its file name, such as "web.toml". Drop-ins that set only states of
// backends are left out: farmc drain and health checkers write them, and they are no edits.
func (s *Files) Edits() map[string]string {
	out := make(map[string]string, len(s.ByPath))
	several := map[string][]byte{} // the lines of farms and lists of several files
	first := make(map[string]line, len(s.ByPath))
	for _, p := range s.Paths() {
		f, item := s.ByPath[p], Item(p)
		if item == "" || f.setsOnlyStates() {
			continue
		}
		own := f.lineOf(p)
		before, known := first[item]
		if !known {
			first[item], out[item] = own, own.digest
			continue
		}
		if several[item] == nil {
			several[item] = slices.Clone(before.text)
		}
		several[item] = append(several[item], own.text...)
	}
	for item, lines := range several {
		out[item] = digestOf(lines)
	}
	return out
}

// A line stands for a file in the digest of its farm.
type line struct {
	path   string
	text   []byte
	digest string // of the farm, if it has no other file
}

// lineOf returns the line of a file, which is made once: of 10,000 farms nearly all have one file, which did not change
// since the last load.
func (f File) lineOf(path string) line {
	sum := f.sum()
	f.facts.lining.Lock()
	defer f.facts.lining.Unlock()
	if f.facts.line.path != path || f.Err != nil {
		text := fmt.Appendf(nil, "%q %v %x\n", path, f.Err, sum)
		f.facts.line = line{path, text, digestOf(text)}
	}
	return f.facts.line
}

// EditsDigest is a digest over all farms and lists, without states of backends.
func (s *Files) EditsDigest() string {
	s.digesting.Lock()
	defer s.digesting.Unlock()
	if s.edited == "" {
		var all []byte
		items := s.Edits()
		for _, item := range slices.Sorted(maps.Keys(items)) {
			all = append(append(append(append(all, item...), ' '), items[item]...), '\n')
		}
		s.edited = digestOf(all)
	}
	return s.edited
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// textFacts are facts about the text of a file, which are found once. Files with the same text share them.
type textFacts struct {
	hash, parse sync.Once
	sum         [sha256.Size]byte
	onlyStates  bool

	lining sync.Mutex
	line   line // zero: not made
}

func (f File) sum() [sha256.Size]byte {
	f.facts.hash.Do(func() { f.facts.sum = sha256.Sum256(f.Text) })
	return f.facts.sum
}

// setsOnlyStates reports whether the file is a drop-in that sets nothing but states of backends, or one of farmc's own
// that sets nothing but their weights.
func (f File) setsOnlyStates() bool {
	if isDropIn := strings.HasSuffix(path.Dir(f.Name), ".toml.d"); !isDropIn || f.Err != nil {
		return false
	}
	if strings.HasPrefix(path.Base(f.Name), weightDropIns) {
		return toml.OnlyWeights(f.Text)
	}
	f.facts.parse.Do(func() { f.facts.onlyStates = toml.OnlyStates(f.Text) })
	return f.facts.onlyStates
}

// WithEdits returns the files with some farms and lists in their version of other files. Their states of backends stay
// the ones of s.
func (s *Files) WithEdits(of *Files, items []string) *Files {
	mixed := &Files{ByPath: map[string]File{}}
	mixed.AddFrom(s, func(item string, f File) bool {
		return !slices.Contains(items, item) || f.setsOnlyStates()
	})
	mixed.AddFrom(of, func(item string, f File) bool {
		return slices.Contains(items, item) && !f.setsOnlyStates()
	})
	return mixed
}

// WithoutStates returns the files without states of backends of some farms.
func (s *Files) WithoutStates(items []string) *Files {
	out := &Files{ByPath: map[string]File{}}
	out.AddFrom(s, func(item string, f File) bool {
		return !slices.Contains(items, item) || !f.setsOnlyStates()
	})
	return out
}

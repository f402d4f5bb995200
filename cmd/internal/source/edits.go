package source

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"farmc/compiler/toml"
)

// Edits returns a digest of each farm and list by its file name, such as "web.toml". Drop-ins that set only states of
// backends are left out: farmc drain and health checkers write them, and they are no edits.
func (s *Files) Edits() map[string]string {
	out := make(map[string]string, len(s.ByPath))
	for _, e := range s.edits() {
		out[e.item] = e.digest()
	}
	return out
}

// An edit is a farm or list, without states of backends.
type edit struct {
	item  string
	first *line  // of its first file
	lines []byte // of all its files; nil: it has one
}

func (e *edit) digest() string {
	if e.lines == nil {
		return e.first.digest
	}
	return digestOf(e.lines)
}

// edits returns the farms and lists, nearly sorted: most of them are in the order of their paths.
func (s *Files) edits() []edit {
	out, index := make([]edit, 0, len(s.ByPath)), make(map[string]int, len(s.ByPath))
	for _, p := range s.Paths() {
		f := s.ByPath[p]
		own := f.lineOf(p)
		if own.item == "" || f.setsOnlyStates() {
			continue
		}
		i, known := index[own.item]
		if !known {
			index[own.item] = len(out)
			out = append(out, edit{own.item, own, nil})
			continue
		}
		e := &out[i]
		if e.lines == nil {
			e.lines = slices.Clone(e.first.text)
		}
		e.lines = append(e.lines, own.text...)
	}
	return out
}

// A line stands for a file in the digest of its farm.
type line struct {
	path   string
	quoted []byte // path
	item   string // that the file is part of
	text   []byte
	digest string // of the farm, if it has no other file
}

// lineOf returns the line of a file, which is made once: of 10,000 farms nearly all have one file, which did not change
// since the last load.
func (f File) lineOf(path string) *line {
	sum, _ := f.sums()
	f.facts.lining.Lock()
	defer f.facts.lining.Unlock()
	if f.facts.line == nil || f.facts.line.path != path || f.Err != nil {
		quoted := strconv.AppendQuote(nil, path)
		text := fmt.Appendf(slices.Clip(quoted), " %v %x\n", f.Err, sum)
		f.facts.line = &line{path, quoted, Item(path), text, digestOf(text)}
	}
	return f.facts.line
}

// EditsDigest is a digest over all farms and lists, without states of backends.
func (s *Files) EditsDigest() string {
	s.digesting.Lock()
	defer s.digesting.Unlock()
	if s.edited == "" {
		edits := s.edits()
		slices.SortFunc(edits, func(a, b edit) int { return strings.Compare(a.item, b.item) })
		sum := sha256.New()
		var words []byte
		for _, e := range edits {
			words = append(append(append(append(words[:0], e.item...), ' '), e.digest()...), '\n')
			sum.Write(words)
		}
		s.edited = hex.EncodeToString(sum.Sum(nil))
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
	checksum    uint32 // CRC-32 for archives
	onlyStates  bool

	lining sync.Mutex
	line   *line // nil: not made
}

// sums returns a hash of the text, and its checksum in archives.
func (f File) sums() (sum [sha256.Size]byte, checksum uint32) {
	f.facts.hash.Do(func() { f.facts.sum, f.facts.checksum = sha256.Sum256(f.Text), crc32.ChecksumIEEE(f.Text) })
	return f.facts.sum, f.facts.checksum
}

// setsOnlyStates reports whether the file is a drop-in that sets nothing but states of backends, or one of farmc's own
// that sets nothing but their weights.
func (f File) setsOnlyStates() bool {
	if !strings.Contains(f.Name, ".toml.d/") || !strings.HasSuffix(path.Dir(f.Name), ".toml.d") || f.Err != nil {
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

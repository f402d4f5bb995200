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
	sums := map[string]*strings.Builder{}
	for _, p := range s.Paths() {
		f, item := s.ByPath[p], Item(p)
		if item == "" || f.setsOnlyStates() {
			continue
		}
		if sums[item] == nil {
			sums[item] = &strings.Builder{}
		}
		fmt.Fprintf(sums[item], "%q %v %x\n", p, f.Err, f.sum())
	}
	out := make(map[string]string, len(sums))
	for item, files := range sums {
		out[item] = digestOfText(files.String())
	}
	return out
}

// EditsDigest is a digest over all farms and lists, without states of backends.
func (s *Files) EditsDigest() string {
	if s.edited == "" {
		var all strings.Builder
		items := s.Edits()
		for _, item := range slices.Sorted(maps.Keys(items)) {
			all.WriteString(item + " " + items[item] + "\n")
		}
		s.edited = digestOfText(all.String())
	}
	return s.edited
}

func digestOfText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// textFacts are facts about the text of a file, which are found once. Files with the same text share them.
type textFacts struct {
	hash, parse sync.Once
	sum         [sha256.Size]byte
	onlyStates  bool
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

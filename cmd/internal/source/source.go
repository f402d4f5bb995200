// Package source holds the files that farms are read from: farms, drop-ins, lists and masks, with the content that one
// compilation saw.
//
// The package knows directories, names and texts. It does not know the kernel, the state directory or loads.
//
// source.go (Files) has the files, and their archive in the state directory. cache.go reads directories, and reuses
// files that did not change. change.go lays changes over directories before they are written. item.go tells which farm
// or list a file belongs to. edits.go compares and mixes two versions. owndropin.go has the names of the drop-ins that
// farmc writes itself.
package source

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"farmc/compiler/farm"
)

// Files are the source files of a script, with the content that the compiler read. Masked and hidden files, and
// files overridden by a later directory, are not included.
type Files struct {
	Roots  []Dir           // in order of precedence
	ByPath map[string]File // by full path

	// ChangeElsewhere is set if a file can change without an event of inotify in the directories: there is a symlink,
	// a hard link, or a file system that other machines write.
	ChangeElsewhere bool

	digesting sync.Mutex // of the next two

	digest string   // result of Digest; "": not computed
	edited string   // result of EditsDigest; "": not computed
	sorted []string // result of Paths
	before []string // result of Paths of the files read before: mostly they have the same paths

	touched []string // paths that a reading of some farms has forgotten or read; nil: of all farms
}

// A Dir is the path of a directory as given by the administrator. In a lenient directory, list lines that are not
// networks are skipped. An earlier directory comes from the archive of a load, maybe by an earlier version of farmc:
// rules that are stricter now do not refuse its farms.
type Dir struct {
	Path    string
	lenient bool
	earlier bool
	answers bool // it has the answers of DNS alone
}

// A File is a file, or the error from reading it.
type File struct {
	Dir  int    // index in Files.Roots
	Name string // relative to the directory
	Text []byte
	Err  error

	state fileState // zero if the file comes from an archive
	facts *textFacts
}

// Add adds a file, or replaces the one of its path. ByPath must not be nil.
func (s *Files) Add(f File) {
	if f.facts == nil {
		f.facts = &textFacts{}
	}
	s.digest, s.edited = "", ""
	s.ByPath[path.Join(s.Roots[f.Dir].Path, f.Name)] = f
}

// Paths returns the full paths of the files, sorted.
func (s *Files) Paths() []string {
	if len(s.sorted) == len(s.ByPath) { // files are added, but never removed
		return s.sorted
	}
	if s.touched != nil {
		s.sorted = s.pathsAfter()
	}
	switch {
	case len(s.sorted) == len(s.ByPath):
	case s.hasPaths(s.before):
		s.sorted = s.before
	default:
		s.sorted = slices.Sorted(maps.Keys(s.ByPath))
	}
	return s.sorted
}

// pathsAfter returns the sorted paths after a reading of some farms.
func (s *Files) pathsAfter() []string {
	out, own := s.before, false
	for _, p := range s.touched {
		i, had := slices.BinarySearch(out, p)
		_, has := s.ByPath[p]
		if has == had {
			continue
		}
		if !own {
			out, own = slices.Clone(out), true
		}
		if has {
			out = slices.Insert(out, i, p)
		} else {
			out = slices.Delete(out, i, i+1)
		}
	}
	return out
}

// hasPaths reports whether the paths are those of the files.
func (s *Files) hasPaths(paths []string) bool {
	return len(paths) == len(s.ByPath) && !slices.ContainsFunc(paths, func(p string) bool {
		_, exists := s.ByPath[p]
		return !exists
	})
}

// Of returns the files of a farm or list.
func (s *Files) Of(name string) []File {
	var out []File
	for _, p := range s.Paths() {
		if Item(p) == name {
			out = append(out, s.ByPath[p])
		}
	}
	return out
}

// DirOf returns the index of the directory that a farm is read from. A farm without a file would be in the first one.
func (s *Files) DirOf(item string) int {
	for i, root := range slices.Backward(s.Roots) {
		if _, has := s.ByPath[path.Join(root.Path, item)]; has {
			return i
		}
	}
	return 0
}

// AddFrom adds the wanted files of other sources under their own directories.
func (s *Files) AddFrom(from *Files, wanted func(item string, f File) bool) {
	index := make([]int, len(from.Roots))
	for n, dir := range from.Roots {
		if index[n] = slices.Index(s.Roots, dir); index[n] < 0 {
			index[n] = len(s.Roots)
			s.Roots = append(s.Roots, dir)
		}
	}
	for _, p := range from.Paths() {
		if f := from.ByPath[p]; wanted(Item(p), f) {
			f.Dir = index[f.Dir]
			s.ByPath[p] = f
		}
	}
}

// Digest is a hash over paths, contents and read errors of the files.
func (s *Files) Digest() string {
	s.digesting.Lock()
	defer s.digesting.Unlock()
	if s.digest != "" {
		return s.digest
	}
	sum := sha256.New()
	var head []byte
	for _, name := range s.Paths() {
		f := s.ByPath[name]
		head = append(append(head[:0], f.lineOf(name).quoted...), ' ')
		head = append(strconv.AppendInt(head, int64(len(f.Text)), 10), ' ')
		head = append(fmt.Append(head, f.Err), '\n')
		sum.Write(head)
		sum.Write(f.Text)
	}
	s.digest = hex.EncodeToString(sum.Sum(nil))
	return s.digest
}

// BeginDigests has the digests made on another processor. No file is added from now on.
func (s *Files) BeginDigests() {
	s.Paths() // are read only from now on
	go func() { _, _ = s.Digest(), s.EditsDigest() }()
}

// Dirs returns the files as directories that the compiler can read again.
func (s *Files) Dirs() []farm.Dir {
	packed := s.Pack("")
	reader, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		panic(err) // Pack wrote the archive
	}
	var dirs []farm.Dir
	for i, d := range s.Roots {
		sub, err := fs.Sub(reader, fmt.Sprint(i))
		if err != nil {
			panic(err)
		}
		dirs = append(dirs, farm.Dir{Path: d.Path, FS: sub, Lenient: d.lenient, Earlier: d.earlier, Answers: d.answers})
	}
	return dirs
}

// Pack returns a zip archive of the files, for the script with this digest. The directories have numbers as names in
// the archive. The archive's comment is the digest, followed by a line for each directory: strict, lenient or
// answers, and the path.
func (s *Files) Pack(digest string) []byte {
	var out bytes.Buffer
	out.Grow(s.packedSize())
	must(s.WritePack(&out, digest))
	return out.Bytes()
}

// WritePack writes the archive that Pack returns.
func (s *Files) WritePack(to io.Writer, digest string) error {
	w := zip.NewWriter(to)
	about := digest
	for _, d := range s.Roots {
		about += "\n" + d.word() + d.Path
	}
	if err := w.SetComment(about); err != nil {
		return err
	}
	for i := range s.Roots {
		if _, err := w.Create(fmt.Sprintf("%d/", i)); err != nil {
			return err
		}
	}
	for _, name := range s.Paths() {
		if f := s.ByPath[name]; f.Err == nil {
			if err := f.pack(w); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

// pack adds the file to an archive.
func (f File) pack(to *zip.Writer) error {
	_, checksum := f.sums()
	size := uint64(len(f.Text))
	file, err := to.CreateRaw(&zip.FileHeader{Name: strconv.Itoa(f.Dir) + "/" + f.Name, Method: zip.Store,
		CRC32: checksum, CompressedSize64: size, UncompressedSize64: size})
	if err == nil {
		_, err = file.Write(f.Text)
	}
	return err
}

// packedSize is about the size of the archive: to grow step by step takes half the time of packing.
func (s *Files) packedSize() (size int) {
	const heads = 30 + 46 // of a file, and in the directory of the archive
	for p, f := range s.ByPath {
		size += len(f.Text) + heads + 2*len(p)
	}
	return size
}

// Words in the archive's comment.
const strict, lenient, answers = "strict ", "lenient ", "answers "

// IsAnswers reports whether the directory has the answers of DNS alone.
func (d Dir) IsAnswers() bool { return d.answers }

func (d Dir) word() string {
	switch {
	case d.answers:
		return answers
	case d.lenient:
		return lenient
	}
	return strict
}

func must(err error) {
	if err != nil {
		panic(err) // writes to a buffer do not fail
	}
}

// Unpack returns the files of an archive, and the digest of their script.
func Unpack(packed []byte) (*Files, string, error) {
	reader, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, "", err
	}
	about := strings.Split(reader.Comment, "\n")
	s := &Files{ByPath: map[string]File{}}
	for _, line := range about[1:] {
		word, name, _ := strings.Cut(line, " ")
		s.Roots = append(s.Roots, Dir{name, word+" " == lenient, true, word+" " == answers})
	}
	for _, f := range reader.File {
		var dir int
		if _, err := fmt.Sscanf(f.Name, "%d/", &dir); err != nil || dir >= len(s.Roots) {
			return nil, "", fmt.Errorf("%q is not in a directory of farms", f.Name)
		}
		_, name, _ := strings.Cut(f.Name, "/")
		if name == "" {
			continue
		}
		text, err := fs.ReadFile(reader, f.Name)
		if err != nil {
			return nil, "", err
		}
		s.Add(File{Dir: dir, Name: name, Text: text})
	}
	return s, about[0], nil
}

package live

import (
	"archive/zip"
	"bytes"
	"compress/flate"
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

	"farmc/compiler/farm"
)

// SourceFiles are the source files of a script, with the content that the compiler read. Masked and hidden files, and
// files overridden by a later directory, are not included.
type SourceFiles struct {
	dirs  []sourceDir // in order of precedence
	files map[string]sourceFile

	digest string   // result of Digest; "": not computed
	edited string   // result of editsDigest; "": not computed
	sorted []string // result of paths
}

// A sourceDir is the path of a directory as given by the administrator. In a lenient directory, list lines that are not
// networks are skipped.
type sourceDir struct {
	path    string
	lenient bool
}

// A sourceFile is a file, or the error from reading it.
type sourceFile struct {
	dir  int
	name string // relative to the directory
	text []byte
	err  error

	state fileState // zero if the file comes from an archive
	facts *textFacts
}

func (s *SourceFiles) add(f sourceFile) {
	if f.facts == nil {
		f.facts = &textFacts{}
	}
	s.digest, s.edited = "", ""
	s.files[path.Join(s.dirs[f.dir].path, f.name)] = f
}

// paths returns the full paths of the files, sorted.
func (s *SourceFiles) paths() []string {
	if len(s.sorted) != len(s.files) { // files are added, but never removed
		s.sorted = slices.Sorted(maps.Keys(s.files))
	}
	return s.sorted
}

// of returns the files of a farm or list.
func (s *SourceFiles) of(name string) []sourceFile {
	var out []sourceFile
	for _, p := range s.paths() {
		if farmOrList(p) == name {
			out = append(out, s.files[p])
		}
	}
	return out
}

// addFiles adds the wanted files of other sources under their own directories.
func (s *SourceFiles) addFiles(from *SourceFiles, wanted func(item string, f sourceFile) bool) {
	index := make([]int, len(from.dirs))
	for n, dir := range from.dirs {
		if index[n] = slices.Index(s.dirs, dir); index[n] < 0 {
			index[n] = len(s.dirs)
			s.dirs = append(s.dirs, dir)
		}
	}
	for _, p := range from.paths() {
		if f := from.files[p]; wanted(farmOrList(p), f) {
			f.dir = index[f.dir]
			s.files[p] = f
		}
	}
}

// Digest is a hash over paths, contents and read errors of the files.
func (s *SourceFiles) Digest() string {
	if s.digest != "" {
		return s.digest
	}
	sum := sha256.New()
	var head []byte
	for _, name := range s.paths() {
		f := s.files[name]
		head = strconv.AppendQuote(head[:0], name)
		head = append(strconv.AppendInt(append(head, ' '), int64(len(f.text)), 10), ' ')
		head = append(fmt.Append(head, f.err), '\n')
		sum.Write(head)
		sum.Write(f.text)
	}
	s.digest = hex.EncodeToString(sum.Sum(nil))
	return s.digest
}

// Dirs returns the files as directories that the compiler can read again.
func (s *SourceFiles) Dirs() []farm.Dir {
	packed := s.pack("")
	reader, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		panic(err) // pack wrote the archive
	}
	var dirs []farm.Dir
	for i, d := range s.dirs {
		sub, err := fs.Sub(reader, fmt.Sprint(i))
		if err != nil {
			panic(err)
		}
		dirs = append(dirs, farm.Dir{Path: d.path, FS: sub, Lenient: d.lenient})
	}
	return dirs
}

// pack returns a zip archive of the files, for the script with this digest. The directories have numbers as names in
// the archive. The archive's comment is the digest, followed by a line for each directory: strict or lenient, and the
// path.
func (s *SourceFiles) pack(digest string) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	w.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(to, flate.BestSpeed) // five times faster for a list of 500,000 networks
	})
	about := digest
	for _, d := range s.dirs {
		about += "\n" + map[bool]string{false: strict, true: lenient}[d.lenient] + d.path
	}
	must(w.SetComment(about))
	for i := range s.dirs {
		_, err := w.Create(fmt.Sprintf("%d/", i))
		must(err)
	}
	for _, name := range s.paths() {
		f := s.files[name]
		if f.err != nil {
			continue
		}
		file, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%d/%s", f.dir, f.name), Method: zip.Store})
		must(err)
		_, err = file.Write(f.text)
		must(err)
	}
	must(w.Close())
	return out.Bytes()
}

// Words in the archive's comment.
const strict, lenient = "strict ", "lenient "

func must(err error) {
	if err != nil {
		panic(err) // writes to a buffer do not fail
	}
}

// unpack returns the files of an archive, and the digest of their script.
func unpack(packed []byte) (*SourceFiles, string, error) {
	reader, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, "", err
	}
	about := strings.Split(reader.Comment, "\n")
	s := &SourceFiles{files: map[string]sourceFile{}}
	for _, line := range about[1:] {
		word, name, _ := strings.Cut(line, " ")
		s.dirs = append(s.dirs, sourceDir{name, word+" " == lenient})
	}
	for _, f := range reader.File {
		var dir int
		if _, err := fmt.Sscanf(f.Name, "%d/", &dir); err != nil || dir >= len(s.dirs) {
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
		s.add(sourceFile{dir: dir, name: name, text: text})
	}
	return s, about[0], nil
}

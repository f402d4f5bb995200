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

	"farmc/compiler"
)

// Sources are the files that a script was compiled from, as they were when they were read: what is masked, hidden or
// overruled by a later directory is not among them.
type SourceFiles struct {
	dirs  []sourceDir // in order of precedence
	files map[string]sourceFile

	digest string   // once it was asked for
	sorted []string // likewise the paths
}

// A sourceDir is a directory as the administrator named it, and whether its lists may have lines that are none.
type sourceDir struct {
	path    string
	lenient bool
}

// A sourceFile is a file, or why there is none.
type sourceFile struct {
	dir  int
	name string // within the directory
	text []byte
	err  error

	state fileState // of what was read from a directory
}

func (s *SourceFiles) add(f sourceFile) {
	s.digest = ""
	s.files[path.Join(s.dirs[f.dir].path, f.name)] = f
}

// paths are the files' paths as they are told to people, in order.
func (s *SourceFiles) paths() []string {
	if len(s.sorted) != len(s.files) { // none is ever taken away
		s.sorted = slices.Sorted(maps.Keys(s.files))
	}
	return s.sorted
}

// Digest tells one set of files from another.
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

// Dirs gives the files as directories to compile once more.
func (s *SourceFiles) Dirs() []compiler.Dir {
	packed := s.pack("")
	reader, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		panic(err) // what was just packed
	}
	var dirs []compiler.Dir
	for i, d := range s.dirs {
		sub, err := fs.Sub(reader, fmt.Sprint(i))
		if err != nil {
			panic(err)
		}
		dirs = append(dirs, compiler.Dir{Path: d.path, FS: sub, Lenient: d.lenient})
	}
	return dirs
}

// pack makes one piece of the sources, for the script of this digest. Each directory is a number in it; the names that
// people know them by are in the comment, below the digest, each with a word on its lists.
func (s *SourceFiles) pack(digest string) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	w.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(to, flate.BestSpeed) // of a list of 500,000 networks in a fifth of the time
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

// The words on the lists of a directory.
const strict, lenient = "strict ", "lenient "

func must(err error) {
	if err != nil {
		panic(err) // a buffer takes everything
	}
}

// unpack gives sources back, and the digest of their script.
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
			return nil, "", fmt.Errorf("%q is not a farm's", f.Name)
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

package farm

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"farmc/compiler/diag"
)

// A Dir is a directory of farms and lists. Path is its name in diagnostics, as the administrator wrote it. An Optional
// directory need not exist. In a Lenient one, lines of lists that are not networks are left out with a warning. An
// Earlier one has farms that were loaded, maybe by an earlier version: rules that are stricter now do not refuse them.
// One with Answers has only the addresses of hostnames, in AnswersFile.
type Dir struct {
	Path     string
	FS       fs.FS
	Optional bool
	Lenient  bool
	Earlier  bool
	Answers  bool
}

// A source has the files of all directories, after masks, precedence and drop-ins.
type source struct {
	farms    []farmFiles // by name
	lists    []file      // by name
	defaults []file      // of each directory that has them
	answers  Answers     // of the last directory that has some
}

// farmFiles are the file of one farm and the drop-ins that amend it, in the order in which they are merged. The
// defaults are those of the directory of its file.
type farmFiles struct {
	name     string
	main     file
	dropIns  []file
	defaults *defaults // nil: there are none
}

type file struct {
	name string // of the farm, drop-in or list: the file's name without its ending
	path string // as diagnostics print it
	text []byte

	broken  bool // a file of defaults that cannot be read
	lenient bool // a line that is wrong is left out
	earlier bool // rules that are stricter than in an earlier version do not refuse it
}

// The sizes of the largest files that are read, in bytes. A list of 1,000,000 networks, and a farm of MaxBackends, are
// half as large, so a larger file is here by mistake. All farms and drop-ins together have at most maxFarmsSize bytes:
// 30,000 farms have half of them. All lists together have at most maxListSize bytes.
const (
	maxListSize  = 64 << 20
	MaxFarmSize  = 1 << 20
	maxDefaults  = 64 << 10 // each farm has a copy; long lists of networks have files of their own
	maxFarmsSize = 16 << 20
)

// NamingRule is the rule for names of farms, lists, backends and drop-ins. nft cannot quote names, so they have to be
// plain. Drop-ins are merged in the order of their names, so names such as "50-drain" are common.
const NamingRule = "a name is a letter or a digit, then letters, digits, '-', '_' and '.', 96 at most"

// LongestName is how many characters a name has at most. A comment of nft holds 128, the name of an object 255.
const LongestName = 96

// IsName reports whether a farm, a list, a backend or a drop-in can have the name.
func IsName(name string) bool {
	for i, c := range []byte(name) {
		switch letter := 'a' <= c|0x20 && c|0x20 <= 'z'; {
		case letter, '0' <= c && c <= '9', i > 0 && strings.IndexByte("_.-", c) >= 0:
		default:
			return false
		}
	}
	return 0 < len(name) && len(name) <= LongestName
}

// read collects the files of all directories, in their order of precedence from low to high.
func read(dirs []Dir, faults *diag.Diagnostics) source {
	top, dropIns := layers{faults: faults}, map[string]*layers{}
	var defaults []file
	found := false
	for _, d := range dirs {
		if d.Answers {
			continue
		}
		entries, err := fs.ReadDir(d.FS, ".")
		if errors.Is(err, fs.ErrNotExist) && d.Optional {
			continue
		}
		found = true
		if err != nil {
			top.unreadableDir(d.Path, err)
			continue
		}
		for _, e := range entries {
			switch farm, isDropIns := strings.CutSuffix(e.Name(), ".toml.d"); {
			case hidden(e.Name()):
			case isDropIns:
				readDropIns(d, farm, e, dropIns, faults)
			case e.Name() == DefaultsFile:
				defaults = append(defaults, loadDefaults(d, e, faults)...)
			default:
				top.add(d, e.Name(), e)
			}
		}
		warnMisnamed(d, entries, faults)
	}
	if !found {
		for _, d := range dirs {
			if !d.Answers {
				top.unreadableDir(d.Path, fs.ErrNotExist)
			}
		}
	}
	s := assemble(top, dropIns, faults)
	s.defaults, s.answers = defaults, lastAnswers(dirs, faults)
	return s
}

// lastAnswers reads the answers of the last directory that has some.
func lastAnswers(dirs []Dir, faults *diag.Diagnostics) (answers Answers) {
	for _, d := range dirs {
		if !d.Answers {
			continue
		}
		if a := readAnswers(d, faults); a != nil {
			answers = a
		}
	}
	return answers
}

// loadDefaults reads the file of defaults of a directory. There is none if it is masked.
func loadDefaults(d Dir, e fs.DirEntry, faults *diag.Diagnostics) []file {
	own := layers{faults: faults}
	own.add(d, DefaultsFile, e)
	var out []file
	for _, f := range own.load(own.named(".toml")) {
		f.broken = f.err != nil
		out = append(out, f.file)
	}
	return out
}

// Names gives the names of the farms in directories, in order, from the names of files alone. Unreadable directories
// have none.
func Names(dirs []Dir) []string {
	top := layers{faults: &diag.Diagnostics{}}
	for _, d := range dirs {
		entries, _ := fs.ReadDir(d.FS, ".")
		for _, e := range entries {
			if !hidden(e.Name()) {
				top.add(d, e.Name(), e)
			}
		}
	}
	var names []string
	for _, f := range top.named(".toml") {
		if name := strings.TrimSuffix(f.name, ".toml"); IsName(name) {
			names = append(names, name)
		}
	}
	return names
}

// incompleteEnding is the ending of the name of a farm that is not ready. Such a file is never read.
const incompleteEnding = ".toml.incomplete"

// Incomplete gives the paths of the farms in directories that are not ready, in order.
func Incomplete(dirs []Dir) []string {
	var out []string
	for _, d := range dirs {
		entries, _ := fs.ReadDir(d.FS, ".")
		for _, e := range entries {
			if name, ok := strings.CutSuffix(e.Name(), incompleteEnding); ok && IsName(name) {
				out = append(out, path.Join(d.Path, e.Name()))
			}
		}
	}
	slices.Sort(out)
	return out
}

// ReadOne reads the files of one farm alone; nil if there is no such farm. Its Document and its Sources are those of
// Read. It is not parsed as a farm, so Farm and Faults are nil. Lists are not read, so the defaults of its directory
// are not judged.
func ReadOne(dirs []Dir, name string) *Reading {
	s := read(ofOne(dirs, name), &diag.Diagnostics{})
	if len(s.farms) == 0 {
		return nil
	}
	files := s.farms[0]
	if of := files.defaultsIn(s.defaults); of != nil {
		files.defaults = readDefaults(*of, nil).unjudged()
	}
	return &Reading{files: files, inherits: inheritance{from: files.defaults}, answers: s.answers}
}

// ofOne gives the directories with the files of one farm alone.
func ofOne(dirs []Dir, name string) []Dir {
	own := slices.Clone(dirs)
	for i := range own {
		own[i].FS = singleFarm{own[i].FS, name}
	}
	return own
}

// defaultsIn finds the file of defaults in the directory of the farm's file; nil if there is none.
func (f farmFiles) defaultsIn(all []file) *file {
	for i := range all {
		if path.Dir(all[i].path) == path.Dir(f.main.path) {
			return &all[i]
		}
	}
	return nil
}

// singleFarm is a directory of farms with the files of one farm alone.
type singleFarm struct {
	fs.FS
	name string
}

// ReadDir gives the farm's file and the directory of its drop-ins in the place of all names.
func (o singleFarm) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "." {
		return fs.ReadDir(o.FS, name)
	}
	var out []fs.DirEntry
	for _, own := range []string{DefaultsFile, o.name + ".toml", o.name + ".toml.d"} {
		if info, err := fs.Lstat(o.FS, own); err == nil {
			out = append(out, fs.FileInfoToDirEntry(info))
		}
	}
	return out, nil
}

// Stat, Lstat, ReadLink and ReadFile are those of the directory.
func (o singleFarm) Stat(name string) (fs.FileInfo, error)  { return fs.Stat(o.FS, name) }
func (o singleFarm) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(o.FS, name) }
func (o singleFarm) ReadLink(name string) (string, error)   { return fs.ReadLink(o.FS, name) }
func (o singleFarm) ReadFile(name string) ([]byte, error)   { return fs.ReadFile(o.FS, name) }

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

func readDropIns(d Dir, farm string, e fs.DirEntry, dropIns map[string]*layers, faults *diag.Diagnostics) {
	entries, err := fs.ReadDir(d.FS, e.Name())
	into := dropIns[farm]
	if into == nil {
		into = &layers{faults: faults}
		dropIns[farm] = into
	}
	if err != nil {
		into.unreadable(path.Join(d.Path, e.Name()), err)
		return
	}
	for _, e2 := range entries {
		if !hidden(e2.Name()) && strings.HasSuffix(e2.Name(), ".toml") {
			into.add(d, path.Join(e.Name(), e2.Name()), e2)
		}
	}
}

// layers lays the directories over one another: of files with the same name the last one counts, and a mask,
// a link to /dev/null, counts as a file that says "nothing".
type layers struct {
	faults *diag.Diagnostics
	files  map[string]layer // by base name
	names  []string         // of these
}

type layer struct {
	dir    Dir
	name   string // within dir
	masked bool
}

func (l *layers) add(d Dir, name string, e fs.DirEntry) {
	base := path.Base(name)
	if !strings.HasSuffix(base, ".toml") && !strings.HasSuffix(base, ".list") {
		return
	}
	if l.files == nil {
		l.files = map[string]layer{}
	}
	masked := false
	if e.Type()&fs.ModeSymlink != 0 {
		target, err := fs.ReadLink(d.FS, name)
		masked = err == nil && target == "/dev/null"
	}
	if _, there := l.files[base]; !there {
		l.names = append(l.names, base)
	}
	l.files[base] = layer{d, name, masked}
}

// named gives the unmasked files of one ending, in the order of their names.
func (l *layers) named(ending string) []layer {
	slices.Sort(l.names)
	var out []layer
	for _, base := range l.names {
		if f := l.files[base]; strings.HasSuffix(base, ending) && !f.masked {
			out = append(out, f)
		}
	}
	return out
}

// unreadableDir is unreadable, with a remedy if the directory is missing.
func (l *layers) unreadableDir(at string, err error) {
	l.unreadable(at, err)
	if errors.Is(err, fs.ErrNotExist) {
		(*l.faults)[len(*l.faults)-1].Hint = "create the directory: mkdir -p " + at
	}
}

func (l *layers) unreadable(at string, err error) {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	*l.faults = append(*l.faults, diag.Diagnostic{Place: diag.Place{File: at},
		Message: fmt.Sprintf("can't be read: %v", err)})
}

// load reads files, as many at once as there are processors, and says of which there is none.
func (l *layers) load(of []layer) []loaded {
	out := make([]loaded, len(of))
	inParallel(len(of), func(i int) { out[i] = of[i].load() })
	for _, f := range out {
		if f.err != nil {
			l.unreadable(f.path, f.err)
		}
	}
	return out
}

// A loaded is a file, or why there is none.
type loaded struct {
	file
	err error
}

// load reads one file, and refuses directories and FIFOs, which would never end.
func (f layer) load() loaded {
	base := path.Base(f.name)
	out := loaded{file: file{name: strings.TrimSuffix(base, path.Ext(base)), path: path.Join(f.dir.Path, f.name),
		lenient: f.dir.Lenient, earlier: f.dir.Earlier}}
	info, err := fs.Stat(f.dir.FS, f.name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if most := f.maxSize(); err == nil && info.Size() > most {
		err = fmt.Errorf("%d bytes, at most %d", info.Size(), most)
	}
	if err == nil {
		out.text, err = fs.ReadFile(f.dir.FS, f.name)
	}
	out.err = err
	return out
}

func (f layer) maxSize() int64 {
	if f.name == DefaultsFile {
		return maxDefaults
	}
	if strings.HasSuffix(f.name, ".list") {
		return maxListSize
	}
	return MaxFarmSize
}

// assemble joins farms and their drop-ins, and looks at the names.
func assemble(top layers, dropIns map[string]*layers, faults *diag.Diagnostics) source {
	var s source
	for _, main := range top.load(top.named(".toml")) {
		if !wellNamed(main.file, "farm", faults) || main.err != nil {
			continue
		}
		farm := farmFiles{name: main.name, main: main.file}
		if over := dropIns[main.name]; over != nil {
			for _, amend := range over.load(over.named(".toml")) {
				if wellNamed(amend.file, "drop-in", faults) && amend.err == nil {
					farm.dropIns = append(farm.dropIns, amend.file)
				}
			}
		}
		s.farms = append(s.farms, farm)
	}
	if n := s.size(); s.tooLarge() {
		*faults = append(*faults, diag.Diagnostic{Message: fmt.Sprintf(
			"all farms and drop-ins together have %d bytes, at most %d", n, maxFarmsSize)})
		s.farms = nil
	}
	if n := len(s.farms); n > maxFarms {
		*faults = append(*faults, diag.Diagnostic{Message: fmt.Sprintf("%d farms, at most %d", n, maxFarms),
			Hint: "a farm can listen on several addresses and ports"})
		s.farms = nil
	}
	for _, list := range top.load(top.named(".list")) {
		if wellNamed(list.file, "list", faults) && list.err == nil {
			s.lists = append(s.lists, list.file)
		}
	}
	if n := sizeOf(s.lists); n > maxListSize {
		*faults = append(*faults, diag.Diagnostic{Message: fmt.Sprintf(
			"all lists together have %d bytes, at most %d", n, maxListSize)})
		s.farms, s.lists = nil, nil
	}
	for _, farm := range slices.Sorted(maps.Keys(dropIns)) {
		if _, ok := top.files[farm+".toml"]; !ok {
			warnOrphans(farm, dropIns[farm], faults)
		}
	}
	checkCase(s, faults)
	return s
}

// tooLarge reports whether all farms and drop-ins together are too large.
func (s source) tooLarge() bool { return s.size() > maxFarmsSize }

// size is the number of bytes of all farms and drop-ins.
func (s source) size() (n int) {
	for _, f := range s.farms {
		n += len(f.main.text) + sizeOf(f.dropIns)
	}
	return n
}

// sizeOf is the number of bytes of files.
func sizeOf(files []file) (n int) {
	for _, f := range files {
		n += len(f.text)
	}
	return n
}

func wellNamed(f file, kind string, faults *diag.Diagnostics) bool {
	if IsName(f.name) {
		return true
	}
	*faults = append(*faults, diag.Diagnostic{
		Place:   diag.Place{File: f.path},
		Message: fmt.Sprintf("%q can't be the name of a %s", f.name, kind),
		Hint:    NamingRule,
	})
	return false
}

// warnOrphans warns of drop-ins without a farm: a health checker may be quicker than an administrator.
func warnOrphans(farm string, dropIns *layers, faults *diag.Diagnostics) {
	for _, d := range dropIns.named(".toml") {
		*faults = append(*faults, diag.Diagnostic{
			Severity: diag.Warning,
			Place:    diag.Place{File: path.Join(d.dir.Path, d.name)},
			Message:  orphanWords(farm),
		})
	}
}

func orphanWords(farm string) string {
	if farm+".toml" == DefaultsFile {
		return DefaultsFile + " has no drop-ins, so the file is ignored"
	}
	return fmt.Sprintf("a drop-in without its farm: there is no %s.toml", farm)
}

// otherEndings are endings of files that are meant as farms or lists, with the right one. Case does not matter.
var otherEndings = map[string]string{".conf": ".toml", ".cfg": ".toml", ".tml": ".toml", ".tom": ".toml",
	".toml": ".toml", ".txt": ".list", ".lst": ".list", ".list": ".list"}

// warnMisnamed warns of files that look like farms or lists, and are not read. One beside a file of the same name with
// the right ending is a copy, or the target of a link.
func warnMisnamed(d Dir, entries []fs.DirEntry, faults *diag.Diagnostics) {
	for _, e := range entries {
		ending := path.Ext(e.Name())
		name, right := strings.TrimSuffix(e.Name(), ending), otherEndings[strings.ToLower(ending)]
		// an editor makes web.toml.txt
		if inner := path.Ext(name); right != "" && inner != "" && otherEndings[inner] == inner {
			name, right = strings.TrimSuffix(name, inner), inner
		}
		if right == "" || right == ending || !IsName(name) || strings.EqualFold(name, "readme") ||
			!e.Type().IsRegular() || hasFile(entries, name) {
			continue
		}
		*faults = append(*faults, diag.Diagnostic{Severity: diag.Warning,
			Place: diag.Place{File: path.Join(d.Path, e.Name())}, Hint: "name it " + name + right,
			Message: "the file is not read: the names of farms end in .toml, and those of lists in .list"})
	}
}

// hasFile reports whether a farm or a list of the name is among the entries.
func hasFile(entries []fs.DirEntry, name string) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == name+".toml" || e.Name() == name+".list"
	})
}

// checkCase finds names that differ by case alone: people and some file systems confuse them.
func checkCase(s source, faults *diag.Diagnostics) {
	farms := map[string]file{}
	for _, f := range s.farms {
		sameName(farms, f.main, "farm", faults)
	}
	lists := map[string]file{}
	for _, f := range s.lists {
		sameName(lists, f, "list", faults)
	}
}

func sameName(seen map[string]file, f file, kind string, faults *diag.Diagnostics) {
	folded := strings.ToLower(f.name)
	if other, ok := seen[folded]; ok {
		*faults = append(*faults, diag.Diagnostic{
			Place:   diag.Place{File: f.path},
			Message: fmt.Sprintf("the names of the %ss %s and %s differ by case alone", kind, other.name, f.name),
			Also:    []diag.Note{{Place: diag.Place{File: other.path}, Message: "the other one"}},
		})
	}
	seen[folded] = f
}

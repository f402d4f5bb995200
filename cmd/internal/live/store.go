package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"farmc/compiler"

	"golang.org/x/sys/unix"
)

// A Store is the directory that remembers what was loaded: loaded.nft is the last script that the kernel took,
// previous.nft the one before; loaded.json what its farms said, in words; loaded.zip and previous.zip the files that
// they were compiled from; boot.nft is what of the last script needs no network interface.
type Store struct {
	Dir string

	last *lastRead // nil: everything is read each time
}

// NewStore gives the store in a directory. What it has read it doesn't read again while the files are the same.
func NewStore(dir string) Store { return Store{Dir: dir, last: &lastRead{}} }

// A lastRead is what was read last, and of which files: each load makes new ones.
type lastRead struct {
	kept          Kept
	script, facts fs.FileInfo
}

const (
	loadedFile   = "loaded.nft"
	previousFile = "previous.nft"
	factsFile    = "loaded.json"
	bootFile     = "boot.nft"
	sourcesFile  = "loaded.zip"
	previousZip  = "previous.zip"
	lockFile     = "lock"
	pending      = ".tmp" // of a file that is not yet what its name says
)

// keptFiles are the files of a load in the order in which they get their names: loaded.nft last, as it is what counts.
var keptFiles = []string{previousZip, previousFile, factsFile, bootFile, sourcesFile, loadedFile}

// Kept is what a Store remembers of the last load. The zero Kept stands for none.
type Kept struct {
	Script []byte
	Digest string
	Farms  map[string]compiler.Facts // nil where it isn't known

	Interfaces map[string]int // the numbers of the interfaces that its rules name, then
	Boot       string         // the digest of what was kept for the next boot
	Sources    string         // the digest of the files that it was compiled from
}

// keptFacts is loaded.json. It belongs to the script of its digest alone: a kill between two renames may leave it
// beside another one.
type keptFacts struct {
	Digest     string                    `json:"digest"`
	Farms      map[string]compiler.Facts `json:"farms"`
	Interfaces map[string]int            `json:"interfaces"`
	Boot       string                    `json:"boot"`
	Sources    string                    `json:"sources"`
}

// Lock keeps others from applying until the returned function is called. It waits for whoever holds it, telling
// waiting once, and goes with the process and its children: an nft that outlives a killed farmc loads still, and the
// rules of the next one must come after its.
func (s Store) Lock(ctx context.Context, waiting func()) (release func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	for first := true; ; first = false {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return inherited(f)
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("stopped while waiting for another farmc: %w", context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// inherited has children share the lock, and gives what ends it for all of them.
func inherited(f *os.File) (release func(), err error) {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("share %s: %w", f.Name(), err)
	}
	return func() {
		unix.Flock(int(f.Fd()), unix.LOCK_UN)
		f.Close()
	}, nil
}

var digestLine = regexp.MustCompile(`(?m)^\t\tct state new comment "farmc sha256:([0-9a-f]{64})"$`)

// Loaded gives what was kept last.
func (s Store) Loaded() (Kept, error) {
	if s.last == nil {
		return s.load()
	}
	// looked at before they are read: what changes meanwhile is read again
	script, facts := s.files()
	if same(script, s.last.script) && same(facts, s.last.facts) {
		return s.last.kept, nil
	}
	kept, err := s.load()
	if err == nil {
		*s.last = lastRead{kept, script, facts}
	}
	return kept, err
}

// files tells whether what Loaded reads is the same.
func (s Store) files() (script, facts fs.FileInfo) {
	script, _ = os.Stat(filepath.Join(s.Dir, loadedFile))
	facts, _ = os.Stat(filepath.Join(s.Dir, factsFile))
	return script, facts
}

// same says whether a file is the one that it was, unchanged.
func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func (s Store) load() (Kept, error) {
	text, err := os.ReadFile(filepath.Join(s.Dir, loadedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Kept{}, nil
	}
	if err != nil {
		return Kept{}, err
	}
	k := Kept{Script: text, Digest: digestOf(text)}
	about := s.facts(k.Digest)
	k.Farms, k.Interfaces, k.Boot, k.Sources = about.Farms, about.Interfaces, about.Boot, about.Sources
	return k, nil
}

func digestOf(script []byte) string {
	if m := digestLine.FindSubmatch(script); m != nil {
		return string(m[1])
	}
	return ""
}

// boot gives the script that was kept for the boot, if it is that of the digest.
func (s Store) boot(digest string) []byte {
	text, err := os.ReadFile(filepath.Join(s.Dir, bootFile))
	if err != nil || digestOf(text) != digest {
		return nil
	}
	return text
}

func (s Store) facts(digest string) keptFacts {
	var kept keptFacts
	text, err := os.ReadFile(filepath.Join(s.Dir, factsFile))
	if err != nil || json.Unmarshal(text, &kept) != nil || kept.Digest != digest {
		return keptFacts{}
	}
	return kept
}

// prepare writes what is to be kept, so that a full disk is known before anything is loaded. commit gives the files
// their names.
func (s Store) prepare(p Plan) error {
	files := p.keep()
	if p.Before.Script != nil && p.Before.Digest != p.Script.Digest && p.Before.Sources != p.sources.Digest() && !p.quietly {
		files[previousFile] = p.Before.Script
		if packed, err := os.ReadFile(filepath.Join(s.Dir, sourcesFile)); err == nil {
			files[previousZip] = packed
		}
	}
	for _, name := range keptFiles {
		if text, ok := files[name]; ok {
			if err := s.write(name, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep gives the files that remember the plan's load. What is on trial is not for the next boot: that goes back.
func (p Plan) keep() map[string][]byte {
	if p.raw {
		return map[string][]byte{bootFile: p.Script.Text, loadedFile: p.Script.Text}
	}
	kept := p.kept()
	facts, err := json.Marshal(keptFacts{kept.Digest, kept.Farms, kept.Interfaces, kept.Boot, kept.Sources})
	if err != nil {
		panic(err)
	}
	files := map[string][]byte{
		factsFile:   facts,
		bootFile:    p.boot().Text,
		sourcesFile: p.sources.pack(p.Script.Digest),
		loadedFile:  p.Script.Text,
	}
	if p.unconfirmed {
		delete(files, bootFile)
	}
	return files
}

// kept is what Loaded gives once the plan's load is kept.
func (p Plan) kept() Kept {
	return Kept{Script: p.Script.Text, Digest: p.Script.Digest, Farms: factsOf(p.Script),
		Interfaces: numbers(p.Script.Interfaces), Boot: p.boot().Digest, Sources: p.sources.Digest()}
}

// keepBoot has the next boot begin with a script.
func (s Store) keepBoot(script *compiler.Script) error {
	if err := s.write(bootFile, script.Text); err != nil {
		return err
	}
	path := filepath.Join(s.Dir, bootFile)
	return errors.Join(os.Rename(path+pending, path), s.sync())
}

func (s Store) write(name string, text []byte) error {
	f, err := os.OpenFile(filepath.Join(s.Dir, name+pending), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("state directory: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// forget takes back prepare, of this farmc or of one that was killed.
func (s Store) forget() {
	for _, name := range append(slices.Clone(keptFiles), trialFile, heldFile) {
		os.Remove(filepath.Join(s.Dir, name+pending))
	}
}

// commit makes what was prepared the last good, and what was last good the previous, unless that says the same. Each
// file is whole at every moment.
func (s Store) commit(p Plan) error {
	for _, name := range keptFiles {
		path := filepath.Join(s.Dir, name)
		err := os.Rename(path+pending, path)
		if err != nil && (name == loadedFile || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if s.last != nil && !p.raw {
		script, facts := s.files()
		*s.last = lastRead{p.kept(), script, facts}
	}
	return s.sync()
}

func (s Store) sync() error {
	d, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

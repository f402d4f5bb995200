package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"farmc/compiler"

	"golang.org/x/sys/unix"
)

// A Store is the directory that remembers what was loaded: loaded.nft is the last script that the kernel took,
// previous.nft the one before; loaded.json what its farms said, in words; loaded.zip and previous.zip the files that
// they were compiled from; boot.nft is what of the last script needs no network interface.
type Store struct {
	Dir string

	cache *readCache // nil: everything is read each time
}

// NewStore gives the store in a directory. What it has read it doesn't read again while the files are the same.
func NewStore(dir string) Store { return Store{Dir: dir, cache: &readCache{}} }

// A lastRead is what was read last, and of which files: each load makes new ones.
type readCache struct {
	load          LastLoad
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
var stateFileNames = []string{previousZip, previousFile, factsFile, bootFile, sourcesFile, loadedFile}

// Kept is what a Store remembers of the last load. The zero Kept stands for none.
type LastLoad struct {
	Script []byte
	Digest string
	Farms  map[string]compiler.Facts // nil where it isn't known

	Interfaces map[string]int // the numbers of the interfaces that its rules name, then
	Boot       string         // the digest of what was kept for the next boot
	Sources    string         // the digest of the files that it was compiled from
}

// keptFacts is loaded.json. It belongs to the script of its digest alone: a kill between two renames may leave it
// beside another one.
type loadedFacts struct {
	Digest     string                    `json:"digest"`
	Farms      map[string]compiler.Facts `json:"farms"`
	Interfaces map[string]int            `json:"interfaces"`
	Boot       string                    `json:"boot"`
	Sources    string                    `json:"sources"`
}

// Lock keeps others from applying until the returned function is called. It waits for whoever holds it, telling
// waiting once if that takes longer than most loads do, and goes with the process and its children: an nft that
// outlives a killed farmc loads still, and the rules of the next one must come after its.
func (s Store) Lock(ctx context.Context, waiting func()) (release func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	for long := time.After(time.Second); ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return inherited(f)
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if ctx.Err() != nil {
			f.Close()
			return nil, fmt.Errorf("stopped while waiting for another farmc: %w", context.Cause(ctx))
		}
		select {
		case <-ctx.Done():
		case <-long:
			if ctx.Err() == nil { // both at once
				waiting()
			}
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
func (s Store) Loaded() (LastLoad, error) {
	if s.cache == nil {
		return s.load()
	}
	// looked at before they are read: what changes meanwhile is read again
	script, facts := s.stat()
	if unchanged(script, s.cache.script) && unchanged(facts, s.cache.facts) {
		return s.cache.load, nil
	}
	kept, err := s.load()
	if err == nil {
		*s.cache = readCache{kept, script, facts}
	}
	return kept, err
}

// files tells whether what Loaded reads is the same.
func (s Store) stat() (script, facts fs.FileInfo) {
	script, _ = os.Stat(filepath.Join(s.Dir, loadedFile))
	facts, _ = os.Stat(filepath.Join(s.Dir, factsFile))
	return script, facts
}

// same says whether a file is the one that it was, unchanged.
func unchanged(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func (s Store) load() (LastLoad, error) {
	text, err := os.ReadFile(filepath.Join(s.Dir, loadedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return LastLoad{}, nil
	}
	if err != nil {
		return LastLoad{}, err
	}
	k := LastLoad{Script: text, Digest: digestOf(text)}
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

func (s Store) facts(digest string) loadedFacts {
	var kept loadedFacts
	text, err := os.ReadFile(filepath.Join(s.Dir, factsFile))
	if err != nil || json.Unmarshal(text, &kept) != nil || kept.Digest != digest {
		return loadedFacts{}
	}
	return kept
}

// A preparation is what is to be kept, in files that don't have their names yet, and on its way to the disk.
type pendingLoad struct {
	files  []*os.File
	onDisk chan error // whether all of it got there
}

// prepare writes what is to be kept, so that a full disk is known before anything is loaded. That it is on the disk
// matters only when the files get their names, so it goes there while the kernel loads; commit waits for it.
func (s Store) prepare(p Plan) (*pendingLoad, error) {
	files := p.stateFiles()
	kept := &pendingLoad{onDisk: make(chan error, 1)}
	err := s.linkPrevious(p)
	for _, name := range stateFileNames {
		if text, ok := files[name]; ok && err == nil {
			err = kept.add(s.create(name, text))
		}
	}
	go kept.flush()
	if err != nil {
		s.discard(kept)
		return nil, err
	}
	return kept, nil
}

// keepElder has what was loaded last as the previous, unless that says the same. The files stay what they are.
func (s Store) linkPrevious(p Plan) error {
	if p.Before.Script == nil || p.Before.Digest == p.Script.Digest || p.Before.Sources == p.sources.Digest() || p.keepPrevious {
		return nil
	}
	return errors.Join(s.link(previousFile, loadedFile), s.link(previousZip, sourcesFile))
}

// alsoAs gives a file a second name, pending. Where a file can't have two it is copied.
func (s Store) link(second, name string) error {
	path, to := filepath.Join(s.Dir, name), filepath.Join(s.Dir, second)
	is, err := os.Stat(path)
	was, _ := os.Stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && was != nil && os.SameFile(is, was): // a farmc was killed at it
		return nil
	case os.Link(path, to+pending) == nil:
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	return s.write(second, text)
}

func (k *pendingLoad) add(f *os.File, err error) error {
	if err == nil {
		k.files = append(k.files, f)
	}
	return err
}

// flush brings the files to the disk, all at once.
func (k *pendingLoad) flush() {
	errs := make([]error, len(k.files))
	var flushing sync.WaitGroup
	for i, f := range k.files {
		flushing.Go(func() { errs[i] = errors.Join(f.Sync(), f.Close()) })
	}
	flushing.Wait()
	k.onDisk <- errors.Join(errs...)
}

// discard takes back prepare.
func (s Store) discard(k *pendingLoad) {
	<-k.onDisk
	s.removePending()
}

// keep gives the files that remember the plan's load. What is on trial is not for the next boot: that goes back.
func (p Plan) stateFiles() map[string][]byte {
	if p.scriptOnly {
		return map[string][]byte{bootFile: p.Script.Text, loadedFile: p.Script.Text}
	}
	kept := p.lastLoad()
	facts := loadedFacts{kept.Digest, kept.Farms, kept.Interfaces, kept.Boot, kept.Sources}
	files := map[string][]byte{
		bootFile:   p.boot().Text,
		loadedFile: p.Script.Text,
	}
	var packed []byte
	var packing sync.WaitGroup
	packing.Go(func() { packed = p.sources.pack(p.Script.Digest) })
	files[factsFile] = facts.text()
	packing.Wait()
	files[sourcesFile] = packed
	if p.unconfirmed {
		delete(files, bootFile)
	}
	return files
}

// text gives loaded.json. The facts of farms are JSON already, and json would take long to see to that.
func (k loadedFacts) text() []byte {
	farms := k.Farms
	k.Farms = map[string]compiler.Facts{}
	text, err := json.Marshal(k)
	if err != nil {
		panic(err)
	}
	size := len(text)
	for name, facts := range farms {
		size += len(name) + len(facts) + len(`"":,`)
	}
	before, after, _ := bytes.Cut(text, []byte(`"farms":{}`))
	out := append(append(make([]byte, 0, size), before...), `"farms":`...)
	mark := byte('{')
	for _, name := range slices.Sorted(maps.Keys(farms)) {
		out = append(append(out, mark, '"'), name...)
		out = append(append(out, '"', ':'), farms[name]...)
		mark = ','
	}
	if mark == '{' {
		out = append(out, mark)
	}
	return append(append(out, '}'), after...)
}

// kept is what Loaded gives once the plan's load is kept.
func (p Plan) lastLoad() LastLoad {
	return LastLoad{Script: p.Script.Text, Digest: p.Script.Digest, Farms: compiler.FactsOf(p.Script.Farms),
		Interfaces: interfaceIndexes(p.Script.Interfaces), Boot: p.boot().Digest, Sources: p.sources.Digest()}
}

// keepBoot has the next boot begin with a script.
func (s Store) writeBoot(script *compiler.Script) error {
	if err := s.write(bootFile, script.Text); err != nil {
		return err
	}
	path := filepath.Join(s.Dir, bootFile)
	return errors.Join(os.Rename(path+pending, path), s.sync())
}

// write writes a file that doesn't have its name yet.
func (s Store) write(name string, text []byte) error {
	f, err := s.create(name, text)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("state directory: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// create is write to where it is not yet on the disk. The file is always a new one: what another farmc left of that
// name may be what counts, under a second name.
func (s Store) create(name string, text []byte) (*os.File, error) {
	path := filepath.Join(s.Dir, name+pending)
	os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if _, err = f.Write(text); err != nil {
		return nil, errors.Join(fmt.Errorf("state directory: %w", err), f.Close(), os.Remove(path))
	}
	return f, nil
}

// forget takes back prepare, of this farmc or of one that was killed.
func (s Store) removePending() {
	for _, name := range append(slices.Clone(stateFileNames), trialFile, heldFile) {
		os.Remove(filepath.Join(s.Dir, name+pending))
	}
}

// commit makes what was prepared the last good, and what was last good the previous, unless that says the same. Each
// file is whole at every moment.
func (s Store) commit(p Plan, kept *pendingLoad) error {
	if err := <-kept.onDisk; err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	for _, name := range stateFileNames {
		path := filepath.Join(s.Dir, name)
		err := os.Rename(path+pending, path)
		if err != nil && (name == loadedFile || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if s.cache != nil && !p.scriptOnly {
		script, facts := s.stat()
		*s.cache = readCache{p.lastLoad(), script, facts}
	}
	return s.sync()
}

// sync has names last.
func (s Store) sync() error {
	d, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

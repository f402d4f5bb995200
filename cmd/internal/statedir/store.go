// Package statedir keeps the state directory: the scripts that the kernel took last, with their source files and a
// description of their farms, so that the next boot, a rollback or another farmc process can load them.
//
// The package knows files, locks and the order in which files are replaced: a process can be killed at any point, and
// each intermediate state is usable. It does not know nft, the kernel, or why something is loaded.
//
// store.go (Store) has the lock and the record of the last load, commit.go replaces the record together with a load,
// kept.go has the loads that a rollback can restore, history.go the last loads. trial.go has the load that waits to be
// confirmed, watcher.go the mark of a running watch. statefile.go reads and writes single files, remove.go takes back
// the last load.
package statedir

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// A Store is the state directory, the record of the last load:
//
// loaded.nft is the script that the kernel took last, previous.nft the script before it. loaded.json describes the
// farms of loaded.nft. loaded.zip and previous.zip have the source files of the two scripts. boot.nft is the last
// confirmed script without rules that need an interface. trial.json, held.json, deadlines.json and the directory
// history are described at Trial, at HistoryEntry, and in package live. A name that ends in .tmp belongs to a file that
// is not complete or not committed.
type Store struct {
	Dir string

	cache *readCache // nil: Loaded reads the files each time
}

// NewStore returns the store in a directory. It caches the last result of Loaded until a file changes.
func NewStore(dir string) Store { return Store{Dir: dir, cache: &readCache{}} }

// A readCache is the last result of Loaded, with the files that it was read from. Each load creates new files.
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

	withdrawalFile = "withdrawn.json"
	pending        = ".tmp" // suffix of files that are not committed
)

// Files of package live, which reads and writes them with ReadJSON, WriteJSON, Recall, Note, Open and NoteLines.
const (
	TrialFile    = "trial.json"    // the load that waits to be confirmed
	HeldFile     = "held.json"     // farms that were rolled back
	CountsFile   = "counts.json"   // the time from which the counts of backends are complete
	HostsFile    = "hosts.json"    // the record of each hostname, for status
	FindingsFile = "findings.json" // the findings that were reported, so that each is reported once until it changes
)

// stateFileNames are the files of a load in the order of their renames. loaded.nft is last, because it identifies
// the last load.
var stateFileNames = []string{previousZip, previousFile, factsFile, bootFile, sourcesFile, loadedFile}

// LastLoad is the record of the last load. The zero value stands for no load.
type LastLoad struct {
	Script []byte
	Digest string
	Farms  map[string]farm.Description // description of each farm; nil: unknown

	Interfaces map[string]int // index, at the time of the load, of each interface that the rules name
	Boot       string         // digest of boot.nft
	Sources    string         // digest of the source files
	Edits      string         // the same without states of backends; "": unknown

	Routes []ruleset.RouteSource // source addresses of connections to backends
	Ports  []uint16              // source ports that backends do not see
}

// loadedFacts is the content of loaded.json. It describes only the script of its digest: if farmc is killed between two
// renames, loaded.nft can be another one.
type loadedFacts struct {
	Digest     string                      `json:"digest"`
	Farms      map[string]farm.Description `json:"farms"`
	Interfaces map[string]int              `json:"interfaces"`
	Boot       string                      `json:"boot"`
	Sources    string                      `json:"sources"`
	Edits      string                      `json:"edits"`
	Routes     []ruleset.RouteSource       `json:"routes,omitempty"`
	Ports      []uint16                    `json:"ports,omitempty"`
}

// Lock excludes other farmc processes until release is called. It waits until the lock is free, and calls waiting once
// if that takes longer than a second. The lock belongs to this process and to its children: an nft that outlives a
// killed farmc still loads, and the next load must come after it.
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
			if ctx.Err() == nil { // both channels can be ready
				waiting()
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// inherited shares the lock with children of this process, and returns the function that ends it for all of them.
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

var digestLine = regexp.MustCompile(`^\t\tct state new comment "farmc sha256:([0-9a-f]{64})"\n?$`)

// digestBegin is the beginning of digestLine.
const digestBegin = "\t\tct state new comment \"farmc sha256:"

// Loaded returns the record of the last load.
func (s Store) Loaded() (LastLoad, error) {
	if s.cache == nil {
		return s.load()
	}
	// The files are compared before they are read, so that a change during the reading is noticed by the next call.
	script, facts := s.stat()
	if unchanged(script, s.cache.script) && unchanged(facts, s.cache.facts) {
		return s.cache.load, nil
	}
	last, err := s.load()
	if err == nil {
		*s.cache = readCache{last, script, facts}
	}
	return last, err
}

// stat returns the metadata of the files that Loaded reads; nil for a missing file.
func (s Store) stat() (script, facts fs.FileInfo) {
	script, _ = os.Stat(filepath.Join(s.Dir, loadedFile))
	facts, _ = os.Stat(filepath.Join(s.Dir, factsFile))
	return script, facts
}

// StatLoaded returns the metadata of loaded.nft, which each load creates anew.
func (s Store) StatLoaded() (fs.FileInfo, error) { return os.Stat(filepath.Join(s.Dir, loadedFile)) }

// unchanged reports whether two results of stat are the same file with the same content.
func unchanged(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func (s Store) load() (LastLoad, error) {
	text, err := s.read(loadedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return LastLoad{}, nil
	}
	if err != nil {
		return LastLoad{}, err
	}
	k := LastLoad{Script: text, Digest: digestOf(text)}
	about := s.facts(k.Digest)
	k.Farms, k.Interfaces, k.Boot = about.Farms, about.Interfaces, about.Boot
	k.Sources, k.Edits = about.Sources, about.Edits
	k.Routes, k.Ports = about.Routes, about.Ports
	return k, nil
}

// read returns the content of a file.
func (s Store) read(name string) ([]byte, error) {
	f, err := s.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	_, err = text.ReadFrom(f)
	return text.Bytes(), err
}

// digestOf returns the digest in a script, or "". It has the expression match few lines: one of 20 MB takes 0.1 s.
func digestOf(script []byte) string {
	for line := range bytes.Lines(script) {
		if !bytes.HasPrefix(line, []byte(digestBegin)) {
			continue
		}
		if m := digestLine.FindSubmatch(line); m != nil {
			return string(m[1])
		}
	}
	return ""
}

// Boot returns boot.nft if it has the digest, and nil otherwise.
func (s Store) Boot(digest string) []byte {
	text, err := s.read(bootFile)
	if err != nil || digestOf(text) != digest {
		return nil
	}
	return text
}

func (s Store) facts(digest string) loadedFacts {
	var kept loadedFacts
	text, err := s.read(factsFile)
	if err != nil || json.Unmarshal(text, &kept) != nil || kept.Digest != digest {
		return loadedFacts{}
	}
	return kept
}

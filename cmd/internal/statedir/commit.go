package statedir

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// A Load is a load to record.
type Load struct {
	Last       LastLoad      // the record that Loaded returns after the commit
	Boot       []byte        // the script without rules that need an interface
	Sources    *source.Files // of the script
	ScriptOnly bool          // the farms of the script are not known

	Before       LastLoad // the last load
	KeepPrevious bool     // previous.nft stays, because this load replaces a load on trial
	Unconfirmed  bool     // boot.nft stays: the next boot restores the farms before the trial
}

// A pendingLoad is the set of state files of a load before their rename, while they are written to disk.
type pendingLoad struct {
	load   Load
	files  []*os.File
	onDisk chan error // the result of writing all files to disk
}

// Prepare writes the state files of a load before the kernel gets it, so that a full disk stops the load. The data goes
// to disk while the kernel loads; commit waits for it.
func (s Store) Prepare(l Load) (*pendingLoad, error) {
	load := &pendingLoad{load: l, onDisk: make(chan error, 1)}
	err := s.linkPrevious(l)
	texts := l.stateFiles()
	second := l.bootIsScript()
	if second {
		delete(texts, bootFile)
	}
	if err == nil {
		load.files, err = s.createAll(texts)
	}
	if err == nil && second {
		err = s.nameTwice(load, bootFile, loadedFile)
	}
	go load.flush()
	if err != nil {
		s.Discard(load)
		return nil, err
	}
	return load, nil
}

// linkPrevious makes the last load the pending previous one, unless the new one has the same script, or the same
// sources apart from states of backends.
func (s Store) linkPrevious(l Load) error {
	if l.Before.Script == nil || l.KeepPrevious ||
		l.Before.Digest == l.Last.Digest || l.Before.Sources == l.Last.Sources ||
		l.Before.Edits != "" && l.Before.Edits == l.Last.Edits {
		return nil
	}
	return errors.Join(s.link(previousFile, loadedFile), s.link(previousZip, sourcesFile))
}

// link gives a file a second name with the suffix pending. A file system without hard links gets a copy.
func (s Store) link(second, name string) error {
	path, to := filepath.Join(s.Dir, name), filepath.Join(s.Dir, second)
	is, err := os.Stat(path)
	was, _ := os.Stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && was != nil && os.SameFile(is, was): // left by a farmc that was killed
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

// bootIsScript reports whether boot.nft gets the text of loaded.nft, as of farms that depend on nothing of the machine.
func (l Load) bootIsScript() bool {
	return !l.Unconfirmed && !l.ScriptOnly && bytes.Equal(l.Boot, l.Last.Script)
}

// nameTwice gives a pending file a second name: 10,000 farms have 12 MB of rules. State files are replaced, never
// changed. A file system without hard links gets a copy.
func (s Store) nameTwice(load *pendingLoad, second, name string) error {
	to := filepath.Join(s.Dir, second+pending)
	os.Remove(to)
	if os.Link(filepath.Join(s.Dir, name+pending), to) == nil {
		return nil
	}
	f, err := s.create(second, load.load.Boot)
	if err == nil {
		load.files = append(load.files, f)
	}
	return err
}

// createAll makes and writes pending files at once, as create does, and returns the ones that it created.
func (s Store) createAll(texts map[string]content) (files []*os.File, err error) {
	var mu sync.Mutex
	var creating errgroup.Group
	for name, write := range texts {
		creating.Go(func() error {
			f, err := s.createFrom(name, write)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				files = append(files, f)
			}
			return err
		})
	}
	err = creating.Wait()
	return files, err
}

// flush writes all files to disk concurrently.
func (k *pendingLoad) flush() {
	errs := make([]error, len(k.files))
	var flushing sync.WaitGroup
	for i, f := range k.files {
		flushing.Go(func() { errs[i] = errors.Join(f.Sync(), f.Close()) })
	}
	flushing.Wait()
	k.onDisk <- errors.Join(errs...)
}

// Discard undoes Prepare.
func (s Store) Discard(k *pendingLoad) {
	<-k.onDisk
	s.RemovePending()
}

// A content writes the content of a state file. Those of 10,000 farms have 25 MB together, so none is made in memory.
type content func(io.Writer) error

// contentOf returns a text as a content.
func contentOf(text []byte) content {
	return func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
}

// stateFiles returns the content of each state file of the load. A load on trial has no boot.nft: a reboot rolls it
// back.
func (l Load) stateFiles() map[string]content {
	script := contentOf(l.Last.Script)
	if l.ScriptOnly {
		return map[string]content{bootFile: script, loadedFile: script}
	}
	facts := loadedFacts{l.Last.Digest, l.Last.Farms, l.Last.Interfaces, l.Last.Boot, l.Last.Sources, l.Last.Edits,
		l.Last.Routes, l.Last.Ports}
	files := map[string]content{
		loadedFile:  script,
		bootFile:    contentOf(l.Boot),
		factsFile:   facts.write,
		sourcesFile: func(w io.Writer) error { return l.Sources.WritePack(w, l.Last.Digest) },
	}
	if l.Unconfirmed {
		delete(files, bootFile)
	}
	return files
}

// write writes the content of loaded.json. The descriptions of farms are JSON already; json.Marshal would parse them
// again, which takes long for many farms.
func (k loadedFacts) write(w io.Writer) error {
	farms := k.Farms
	k.Farms = map[string]farm.Description{}
	text, err := json.Marshal(k)
	if err != nil {
		panic(err)
	}
	before, after, _ := bytes.Cut(text, []byte(`"farms":{}`))
	out := append(slices.Clone(before), `"farms":{`...)
	for i, name := range slices.Sorted(maps.Keys(farms)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(append(out, '"'), name...), '"', ':'), farms[name]...)
		if _, err := w.Write(out); err != nil {
			return err
		}
		out = out[:0]
	}
	_, err = w.Write(append(append(out, '}'), after...))
	return err
}

// WriteBoot replaces boot.nft.
func (s Store) WriteBoot(script []byte) error {
	if err := s.write(bootFile, script); err != nil {
		return err
	}
	path := filepath.Join(s.Dir, bootFile)
	return errors.Join(os.Rename(path+pending, path), s.sync())
}

// write writes a pending file, and waits until it is on disk.
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

// create writes a pending file, and returns it open. It always creates a new file: a leftover of the same name can be a
// hard link to a committed file.
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

// createFrom is create for a content that is written in parts.
func (s Store) createFrom(name string, write content) (*os.File, error) {
	f, err := s.create(name, nil)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewWriterSize(f, 256<<10)
	if err := errors.Join(write(buffered), buffered.Flush()); err != nil {
		return nil, errors.Join(fmt.Errorf("state directory: %w", err), f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// RemovePending removes the pending files of this farmc, or of one that was killed. The files of hostnames stay: watch
// writes them without the lock, and so in the midst of another farmc's load; its next write replaces a half file.
func (s Store) RemovePending() {
	for _, name := range append(slices.Clone(stateFileNames), TrialFile, HeldFile, FindingsFile, CountsFile,
		withdrawalFile) {
		os.Remove(filepath.Join(s.Dir, name+pending))
	}
	history, _ := fs.Glob(os.DirFS(s.Dir), historyDir+"/*"+pending)
	for _, name := range history {
		os.Remove(filepath.Join(s.Dir, name))
	}
}

// Commit renames the prepared files: the new load becomes the last one, and the last one the previous one. Each file is
// complete at every moment.
func (s Store) Commit(files *pendingLoad) error {
	if err := <-files.onDisk; err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	for _, name := range stateFileNames {
		path := filepath.Join(s.Dir, name)
		err := os.Rename(path+pending, path)
		if err != nil && (name == loadedFile || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if s.cache != nil && !files.load.ScriptOnly {
		script, facts := s.stat()
		*s.cache = readCache{files.load.Last, script, facts}
	}
	return s.sync()
}

// sync writes the names in the directory to disk.
func (s Store) sync() error {
	d, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

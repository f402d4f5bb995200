package api

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/nftlb"
	"farmc/compiler/farm"
)

// An nftlbObjects has the objects of nftlb that the files stand for. It keeps them as long as the files stay.
type nftlbObjects struct {
	mu        sync.Mutex
	documents map[*farm.Reading]edit.Document
	cache     nftlb.Cache
	now       *live.Snapshot // of the state; nil: it has files that farmc does not read
	state     *nftlb.State   // which several requests share
}

// looseFile has the addresses that no farm has. farmc does not read it.
const looseFile = "nftlb-addresses.incomplete"

// asideEnding is the ending of farms that farmc does not read.
const asideEnding = ".toml.incomplete"

// state returns the objects of the files. The caller changes clones of it alone.
func (n *nftlbWriter) state() (*nftlb.State, error) {
	now, err := n.server.current()
	if err != nil {
		return nil, err
	}
	aside := nftlb.Files{Farms: map[string]edit.Document{}, Aside: map[string]bool{}}
	if err := readAside(n.choices.Dir, &aside); err != nil {
		return nil, err
	}
	return n.objects.of(now, aside), nil
}

// of returns the objects of a snapshot, and of the files beside it that farmc does not read.
func (o *nftlbObjects) of(now *live.Snapshot, aside nftlb.Files) *nftlb.State {
	o.mu.Lock()
	defer o.mu.Unlock()
	alone := len(aside.Farms) == 0 && aside.Loose == nil
	if alone && o.now == now {
		return o.state
	}
	in := nftlb.Files{Farms: o.documentsOf(now), Lists: map[string][]byte{}, Aside: map[string]bool{},
		Loose: aside.Loose}
	for name, d := range aside.Farms {
		if in.Farms[name] == nil {
			in.Farms[name], in.Aside[name] = d, true
		}
	}
	for _, name := range now.Lists() {
		in.Lists[name], _, _ = now.List(name)
	}
	o.now, o.state = nil, o.cache.State(in)
	if alone {
		o.now = now
	}
	return o.state
}

// documentsOf returns the documents of all farms of a snapshot, by name, but for filters of addresses.
func (o *nftlbObjects) documentsOf(now *live.Snapshot) map[string]edit.Document {
	known, out := map[*farm.Reading]edit.Document{}, map[string]edit.Document{}
	for _, r := range now.Readings {
		d, has := o.documents[r]
		if !has {
			d, _ = edit.Decode(strings.NewReader(string(r.Document())))
		}
		known[r] = d
		if !nftlb.IsFilter(d) {
			out[r.Name()] = d
		}
	}
	o.documents = known
	return out
}

// readAside reads the files that farmc does not read.
func readAside(dir string, in *nftlb.Files) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name, isFarm := strings.CutSuffix(e.Name(), asideEnding)
		if !e.Type().IsRegular() || !(isFarm && farm.IsName(name)) && e.Name() != looseFile {
			continue
		}
		text, err := readFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		if !isFarm {
			in.Loose = text
		} else if d, faults := edit.Read(text); len(faults) == 0 {
			in.Farms[name] = d
		}
	}
	return nil
}

// readFile reads a file of a farm.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, farm.MaxFarmSize))
}

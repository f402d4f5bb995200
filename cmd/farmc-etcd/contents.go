package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Bounds of the files of a prefix, as farmc has them for a directory.
const (
	maxFiles = 100_000
	maxBytes = 80 << 20
)

// page is the number of keys that one request reads.
const page = 1000

// contents are the files below a prefix, at one revision.
type contents struct {
	revision int64             // of etcd when they were read
	files    map[string]string // text by name
	versions map[string]int64  // revision of the last change, by name
}

func newContents() *contents {
	return &contents{files: map[string]string{}, versions: map[string]int64{}}
}

// clone returns a copy that can be changed.
func (c *contents) clone() *contents {
	return &contents{c.revision, maps.Clone(c.files), maps.Clone(c.versions)}
}

// read reads a prefix in pages, all at one revision: at, or the current one if at is 0.
func read(ctx context.Context, kv clientv3.KV, prefix string, at int64) (*contents, error) {
	out := newContents()
	out.revision = at
	end := clientv3.GetPrefixRangeEnd(prefix)
	for from := prefix; ; {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		r, err := kv.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(out.revision),
			clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
		cancel()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", prefix, err)
		}
		if out.revision == 0 {
			out.revision = r.Header.Revision
		}
		for _, kv := range r.Kvs {
			out.put(strings.TrimPrefix(string(kv.Key), prefix), string(kv.Value), kv.ModRevision)
		}
		if !r.More {
			return out, nil
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}

func (c *contents) put(name, text string, version int64) {
	c.files[name], c.versions[name] = text, version
}

func (c *contents) remove(name string) {
	delete(c.files, name)
	delete(c.versions, name)
}

// add adds the events of a revision.
func (c *contents) add(prefix string, events []*clientv3.Event) {
	for _, e := range events {
		name := strings.TrimPrefix(string(e.Kv.Key), prefix)
		if e.Type == clientv3.EventTypeDelete {
			c.remove(name)
		} else {
			c.put(name, string(e.Kv.Value), e.Kv.ModRevision)
		}
		c.revision = max(c.revision, e.Kv.ModRevision)
	}
}

// latest is the revision of the last change of a file that is there.
func (c *contents) latest() (last int64) {
	for _, v := range c.versions {
		last = max(last, v)
	}
	return last
}

// check returns all faults that keep the files from being written.
func (c *contents) check() error {
	var faults []error
	size := 0
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		size += len(c.files[name])
		if !isFileName(name) && len(faults) < 20 {
			faults = append(faults, fmt.Errorf("key %q is no name of a file of farms", name))
		}
	}
	if size > maxBytes {
		faults = append(faults, fmt.Errorf("the files have %d bytes, at most %d", size, maxBytes))
	}
	if len(c.files) > maxFiles {
		faults = append(faults, fmt.Errorf("there are %d files, at most %d", len(c.files), maxFiles))
	}
	return errors.Join(faults...)
}

// differences returns the names of files that differ from others, sorted.
func (c *contents) differences(other *contents) []string {
	var out []string
	for name, text := range c.files {
		if was, exists := other.files[name]; !exists || was != text {
			out = append(out, name)
		}
	}
	for name := range other.files {
		if _, exists := c.files[name]; !exists {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

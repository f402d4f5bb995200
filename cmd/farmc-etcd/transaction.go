package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// maxOperations is how many files one transaction changes: etcd takes 128 operations by default (--max-txn-ops).
const maxOperations = 120

// A change gives a prefix the files of other contents.
type change struct {
	prefix      string
	names       []string // that differ
	now, wanted *contents
}

func newChange(prefix string, now, wanted *contents) change {
	return change{prefix, wanted.differences(now), now, wanted}
}

// commit changes etcd, in transactions of up to maxOperations files. Each is refused if another program has changed one
// of its files meanwhile. It returns the revision of the last one.
func (c change) commit(ctx context.Context, o *options, kv clientv3.KV) (int64, error) {
	if len(c.names) > maxOperations {
		o.log("%d files: etcd takes %d in a transaction, so machines load them in parts", len(c.names), maxOperations)
	}
	revision, done := c.now.revision, 0
	for done < len(c.names) {
		part := c.names[done:min(done+maxOperations, len(c.names))]
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		r, err := c.transaction(kv.Txn(ctx), part).Commit()
		cancel()
		if err == nil && !r.Succeeded {
			err = fmt.Errorf("another program has changed %s meanwhile: try again", c.prefix)
		}
		if err != nil && done > 0 {
			err = fmt.Errorf("%d of %d files are changed: %w", done, len(c.names), err)
		}
		if err != nil {
			return 0, err
		}
		revision, done = r.Header.Revision, done+len(part)
	}
	return revision, nil
}

func (c change) transaction(t clientv3.Txn, names []string) clientv3.Txn {
	var guards []clientv3.Cmp
	var operations []clientv3.Op
	for _, name := range names {
		key := c.prefix + name
		guards = append(guards, clientv3.Compare(clientv3.ModRevision(key), "=", c.now.versions[name]))
		if text, exists := c.wanted.files[name]; exists {
			operations = append(operations, clientv3.OpPut(key, text))
		} else {
			operations = append(operations, clientv3.OpDelete(key))
		}
	}
	return t.If(guards...).Then(operations...)
}

// maxShown is the length of the differences that are shown, in bytes.
const maxShown = 64 << 10

// show prints the differences as a unified diff.
func (c change) show(w io.Writer) {
	shown := 0
	for i, name := range c.names {
		text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
			A: lines(c.now, name), FromFile: label(c.now, name),
			B: lines(c.wanted, name), ToFile: label(c.wanted, name), Context: 3})
		if err != nil { // the buffer of the library fails never
			panic(err)
		}
		fmt.Fprint(w, printable(text))
		if shown += len(text); shown > maxShown && i+1 < len(c.names) {
			fmt.Fprintf(w, "and %d more files\n", len(c.names)-i-1)
			return
		}
	}
}

func lines(c *contents, name string) []string {
	text := strings.TrimSuffix(c.files[name], "\n")
	if text == "" {
		return nil
	}
	out := strings.SplitAfter(text, "\n")
	out[len(out)-1] += "\n"
	return out
}

// label is the name of a file in a diff.
func label(c *contents, name string) string {
	if _, exists := c.files[name]; !exists {
		return "/dev/null"
	}
	return name
}

// printable replaces control characters, which a terminal would obey.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || 0x7f <= c && c < 0xa0 {
			return '�'
		}
		return c
	}, text)
}

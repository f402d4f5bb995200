package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var mirrorCommand = command{
	name:    "mirror",
	summary: "keep a directory of farms as etcd has it",
	flags: func(o *options, set *pflag.FlagSet) {
		set.StringVar(&o.prefix, "prefix", farmsPrefix, "`prefix` of the keys that are files")
		set.StringVar(&o.dir, "dir", "/var/lib/farmc-etcd/farms", "`link` to the directory that is written")
		set.BoolVar(&o.mayBeEmpty, "may-be-empty", false, "take a prefix without keys, too")
		set.StringVar(&o.host, "host", hostname(), "`name` of this machine in status; \"\" reports nothing")
		set.StringVar(&o.farmc, "farmc", "farmc", "`program` that is asked for the status of the farms")
		set.StringArrayVar(&o.farmcDirs, "farmc-dir", nil, "`directory` of farms of farmc watch --dir; repeatable")
	},
	run: func(ctx context.Context, o *options) error {
		if err := checkPrefix("--prefix", o.prefix); err != nil {
			return err
		}
		link, err := filepath.Abs(o.dir)
		if err != nil {
			return err
		}
		client, err := o.connect()
		if err != nil {
			return err
		}
		defer client.Close()
		m := &mirror{options: o, client: client, tree: newTree(link), look: look}
		if err := m.tree.open(); err != nil {
			return err
		}
		if m.written, err = m.tree.read(); err != nil {
			return err
		}
		if o.host != "" {
			m.reporter = newReporter(o, client)
			go m.reporter.run(ctx)
		}
		m.run(ctx)
		return nil
	},
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// A mirror follows a prefix.
type mirror struct {
	*options
	client   *clientv3.Client
	tree     tree
	written  *contents     // of the directory; nil: there is none
	reporter *reporter     // nil: none
	told     string        // the trouble that was logged last
	look     time.Duration // to a comparison with etcd, and to the next try after files could not be written
}

const (
	requestTimeout = 10 * time.Second       // for one request to etcd
	pause          = 500 * time.Millisecond // to the next try after an error
	look           = time.Minute            // see mirror: watches are known to hang, and a full disk gets room
)

// run follows the prefix until ctx ends.
func (m *mirror) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := m.follow(ctx)
		if ctx.Err() == nil {
			m.tell(err)
		}
		sleep(ctx, pause)
	}
}

// tell logs a trouble once, until it changes.
func (m *mirror) tell(err error) {
	if err == nil {
		m.told = ""
		return
	}
	if text := m.explain(err).Error(); text != m.told {
		m.told = text
		m.log("warning: %s", printable(text))
	}
}

// errBehind reports changes that the watch did not tell.
var errBehind = errors.New("etcd has changes that it has not sent: reading all files anew")

// follow reads the prefix, and then its changes, until an error.
func (m *mirror) follow(ctx context.Context) error {
	ctx, end := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer end()
	now, err := read(ctx, m.client, m.prefix, 0)
	if err != nil {
		return err
	}
	changes := m.client.Watch(ctx, m.prefix, clientv3.WithPrefix(), clientv3.WithRev(now.revision+1))
	m.take(now)
	due := time.NewTicker(m.look)
	defer due.Stop()
	for {
		select {
		case r, open := <-changes:
			if !open {
				return errors.New("etcd has ended the watch")
			}
			if err := r.Err(); err != nil {
				return fmt.Errorf("watch %s: %w", m.prefix, err)
			}
			now = now.clone()
			now.add(m.prefix, r.Events)
			m.take(now)
		case <-due.C:
			m.tree.removeOld(time.Now())
			if m.written != now { // for example, the disk was full
				m.take(now)
			}
			if err := m.compare(ctx, now); err != nil {
				return err
			}
		}
	}
}

// compare returns errBehind if etcd has had a change for a while that the watch has not told.
func (m *mirror) compare(ctx context.Context, now *contents) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := m.client.Get(ctx, m.prefix, clientv3.WithPrefix(), clientv3.WithLimit(1),
		clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
	if err != nil {
		return fmt.Errorf("read %s: %w", m.prefix, err)
	}
	if int(r.Count) != len(now.files) || len(r.Kvs) > 0 && r.Kvs[0].ModRevision > now.latest() {
		return errBehind
	}
	return nil
}

// errEmpty reports a prefix that may have been deleted by mistake.
var errEmpty = errors.New("has no keys, so the files stay; --may-be-empty takes that, too")

// take writes the files of a revision, unless they cannot be right.
func (m *mirror) take(now *contents) {
	err := now.check()
	if len(now.files) == 0 && !m.mayBeEmpty {
		err = fmt.Errorf("%s %w", m.prefix, errEmpty)
	}
	if err == nil {
		err = m.write(now)
	}
	if err != nil {
		err = fmt.Errorf("revision %d is not taken: %w", now.revision, err)
	}
	if m.reporter != nil {
		m.reporter.taken(now.revision, m.tree.changed, err)
	}
	m.tell(err)
}

// write writes files. After an error the directory tells which ones it has.
func (m *mirror) write(now *contents) error {
	err := m.tree.write(m.written, now)
	if err == nil {
		m.written = now
		return nil
	}
	var unread error
	if m.written, unread = m.tree.read(); unread != nil {
		m.written = nil // the next write makes all files anew
	}
	return err
}

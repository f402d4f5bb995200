package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var promoteCommand = command{
	name:    "promote",
	summary: "copy a prefix to another one, once the machines of the first have loaded it",
	flags: func(o *options, set *pflag.FlagSet) {
		set.StringVar(&o.from, "from", "/farmc/canary/", "`prefix` that is copied")
		set.StringVar(&o.to, "to", farmsPrefix, "`prefix` that is changed")
		set.DurationVar(&o.wait, "wait", 30*time.Second, "`time` for the machines of the first prefix to load it")
	},
	run: func(ctx context.Context, o *options) error {
		if err := errors.Join(checkPrefix("--from", o.from), checkPrefix("--to", o.to)); err != nil {
			return err
		}
		client, err := o.connect()
		if err != nil {
			return err
		}
		defer client.Close()
		wanted, err := read(ctx, client, o.from, 0)
		if err != nil {
			return err
		}
		if len(wanted.files) == 0 {
			return fmt.Errorf("%s has no files", o.from)
		}
		if err := awaitLoaded(ctx, o, client, wanted.latest()); err != nil {
			return fmt.Errorf("nothing is promoted: %w", err)
		}
		now, err := read(ctx, client, o.to, 0)
		if err != nil {
			return err
		}
		c := newChange(o.to, now, wanted)
		c.names = c.copied()
		return o.apply(ctx, client, c)
	},
}

// copied returns the files to write: a promotion removes none, because the prefix that it comes from may have only the
// farms that are tried.
func (c change) copied() (names []string) {
	for _, name := range c.names {
		if _, exists := c.wanted.files[name]; exists {
			names = append(names, name)
		}
	}
	return names
}

// awaitLoaded waits until all machines that mirror the first prefix have loaded a revision. A fault on one of them ends
// the wait.
func awaitLoaded(ctx context.Context, o *options, client *clientv3.Client, revision int64) error {
	deadline := time.Now().Add(o.wait)
	for {
		reports, err := readReports(ctx, client)
		if err != nil {
			return err
		}
		waits, err := waitsFor(reports, o.from, revision)
		if err != nil || waits == "" {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New(waits)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// waitsFor returns which machines have not loaded a revision of a prefix; "": all have. A fault of the revision is an
// error.
func waitsFor(reports []report, prefix string, revision int64) (string, error) {
	mirrors := 0
	var behind []string
	for _, r := range reports {
		if r.Prefix != prefix {
			continue
		}
		mirrors++
		switch {
		case r.Revision >= revision && r.Loaded:
		case r.Seen >= revision && r.Fault != "":
			return "", fmt.Errorf("%s: %s", r.Host, r.Fault)
		default:
			behind = append(behind, r.Host)
		}
	}
	if mirrors == 0 {
		return "no machine mirrors " + prefix, nil
	}
	if len(behind) > 0 {
		return "not loaded by " + strings.Join(behind, ", "), nil
	}
	return "", nil
}

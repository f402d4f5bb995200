package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var rollbackCommand = command{
	name:    "rollback",
	summary: "make a prefix in etcd have the files of an earlier revision",
	flags: func(o *options, set *pflag.FlagSet) {
		set.StringVar(&o.prefix, "prefix", farmsPrefix, "`prefix` of the keys that are files")
		set.Int64Var(&o.revision, "to", 0, "`revision` of etcd, as push, promote and status show it")
	},
	run: func(ctx context.Context, o *options) error {
		if err := checkPrefix("--prefix", o.prefix); err != nil {
			return err
		}
		if o.revision < 1 {
			return fmt.Errorf("--to is %d, not a revision above 0: %w", o.revision, errUsage)
		}
		client, err := o.connect()
		if err != nil {
			return err
		}
		defer client.Close()
		now, err := read(ctx, client, o.prefix, 0)
		if err != nil {
			return err
		}
		then, err := read(ctx, client, o.prefix, o.revision)
		switch {
		case errors.Is(err, rpctypes.ErrCompacted):
			return fmt.Errorf("etcd has compacted revision %d, and lacks its files", o.revision)
		case errors.Is(err, rpctypes.ErrFutureRev):
			return fmt.Errorf("etcd is at revision %d, not yet at %d", now.revision, o.revision)
		case err != nil:
			return err
		case len(then.files) == 0:
			return fmt.Errorf("%s had no files at revision %d", o.prefix, o.revision)
		}
		return o.apply(ctx, client, newChange(o.prefix, now, then))
	},
}

// apply shows a change and commits it.
func (o *options) apply(ctx context.Context, client *clientv3.Client, c change) error {
	if len(c.names) == 0 {
		o.log("%s has these files already, at revision %d", c.prefix, c.now.latest())
		return nil
	}
	c.show(o.stdout)
	revision, err := c.commit(ctx, o, client)
	if err != nil {
		return err
	}
	o.log("%s: %s changed, revision %d, before %d", c.prefix, count(len(c.names), "file"), revision, c.now.latest())
	return nil
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

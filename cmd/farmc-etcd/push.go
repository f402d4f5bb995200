package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"

	"github.com/spf13/pflag"
)

var pushCommand = command{
	name:    "push",
	args:    "DIR",
	summary: "make a prefix in etcd have the files of a directory",
	flags: func(o *options, set *pflag.FlagSet) {
		set.StringVar(&o.prefix, "prefix", farmsPrefix, "`prefix` of the keys that are files")
		set.StringVar(&o.farmc, "farmc", "farmc", "`program` that checks the farms")
	},
	run: func(ctx context.Context, o *options) error {
		if err := checkPrefix("--prefix", o.prefix); err != nil {
			return err
		}
		if len(o.args) != 1 {
			return fmt.Errorf("push takes one directory: %w", errUsage)
		}
		wanted, err := checked(ctx, o, o.args[0])
		if err != nil {
			return err
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
		return o.apply(ctx, client, newChange(o.prefix, now, wanted))
	},
}

// checked returns the files of a directory, if farmc finds no fault in them.
func checked(ctx context.Context, o *options, dir string) (*contents, error) {
	files, err := readDir(dir)
	if err == nil {
		err = files.check()
	}
	if err != nil {
		return nil, err
	}
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, o.farmc, "check", "--no-nft", "--dir", dir)
	cmd.Stdout, cmd.Stderr = &complaint, &complaint
	if err := cmd.Run(); err != nil {
		o.stderr.Write(complaint.Bytes()) // farmc prints nothing raw
		return nil, fmt.Errorf("nothing is pushed: farmc check %s: %w", dir, err)
	}
	return files, nil
}

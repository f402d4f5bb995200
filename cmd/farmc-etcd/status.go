package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var statusCommand = command{
	name:    "status",
	summary: "show the machines that mirror prefixes: revision, loaded or the fault",
	flags:   func(*options, *pflag.FlagSet) {},
	run: func(ctx context.Context, o *options) error {
		client, err := o.connect()
		if err != nil {
			return err
		}
		defer client.Close()
		reports, err := readReports(ctx, client)
		if err != nil {
			return err
		}
		latest := map[string]int64{}
		for _, r := range reports {
			if _, known := latest[r.Prefix]; !known {
				if latest[r.Prefix], err = latestOf(ctx, client, r.Prefix); err != nil {
					return err
				}
			}
		}
		return showReports(o.stdout, reports, latest)
	},
}

// readReports returns the reports of all machines, sorted.
func readReports(ctx context.Context, kv clientv3.KV) ([]report, error) {
	c, err := read(ctx, kv, hostsPrefix, 0)
	if err != nil {
		return nil, err
	}
	var out []report
	for _, text := range c.files {
		var r report
		if json.Unmarshal([]byte(text), &r) == nil {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b report) int { return strings.Compare(a.key(), b.key()) })
	return out, nil
}

// latestOf returns the revision of the last change of a file of a prefix; 0 without files.
func latestOf(ctx context.Context, kv clientv3.KV, prefix string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := kv.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly(),
		clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))
	if err != nil || len(r.Kvs) == 0 {
		return 0, err
	}
	return r.Kvs[0].ModRevision, nil
}

// errTrouble makes the exit status 1 if a machine has not loaded the files of its prefix.
type errTrouble int

func (e errTrouble) Error() string { return count(int(e), "machine") + " without the files of etcd" }

// showReports prints a line for each machine and prefix.
func showReports(w io.Writer, reports []report, latest map[string]int64) error {
	if len(reports) == 0 {
		fmt.Fprintln(w, "no machine mirrors a prefix")
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HOST\tPREFIX\tREVISION\tAGE\tSTATE")
	behind := 0
	for _, r := range reports {
		state := r.state(latest[r.Prefix])
		if state != "loaded" {
			behind++
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", cell(r.Host), cell(r.Prefix), r.Revision,
			time.Since(r.Time).Round(time.Second), cell(state))
	}
	table.Flush()
	if behind > 0 {
		return errTrouble(behind)
	}
	return nil
}

// state is the state of a machine in a word, or its fault.
func (r report) state(latest int64) string {
	switch {
	case r.Fault != "":
		return r.Fault
	case r.Revision < latest:
		return fmt.Sprintf("behind revision %d", latest)
	case !r.Loaded:
		return "not loaded yet"
	}
	return "loaded"
}

// cell is a text in a line of the table.
func cell(text string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(printable(text))
}

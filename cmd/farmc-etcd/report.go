package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A report is the value of a key below hostsPrefix: the files that a machine has of a prefix.
type report struct {
	Host     string    `json:"host"`
	Prefix   string    `json:"prefix"`
	Revision int64     `json:"revision"` // of etcd, of the last change that was taken
	Seen     int64     `json:"seen"`     // the same, of the last change, taken or not
	Loaded   bool      `json:"loaded"`   // the kernel has the farms of these files
	Fault    string    `json:"fault"`    // why not; "": not yet
	Time     time.Time `json:"time"`
}

// key is the report's key in etcd: a machine may mirror several prefixes.
func (r report) key() string {
	return hostsPrefix + r.Host + "/" + strings.ReplaceAll(strings.Trim(r.Prefix, "/"), "/", "-")
}

const (
	lease        = time.Minute      // after which the report of a machine that is gone vanishes
	reportPeriod = 10 * time.Second // between reports
	askPeriod    = 100 * time.Millisecond
	askFor       = 30 * time.Second // after a change, farmc is asked again and again for so long
	askShare     = 20               // asking takes one part in so many of the time
	askShareNew  = 3                // the same after a change
)

// A reporter tells etcd which revision this machine has loaded.
type reporter struct {
	*options
	client *clientv3.Client
	news   chan struct{}

	writing  sync.Mutex
	lifetime time.Duration    // of a lease
	lease    clientv3.LeaseID // 0: none
	last     report           // that was written; zero: none

	mu       sync.Mutex
	revision int64
	seen     int64
	changed  time.Time // of the last change of the files
	trouble  error
}

func newReporter(o *options, client *clientv3.Client) *reporter {
	return &reporter{options: o, client: client, news: make(chan struct{}, 1), lifetime: lease}
}

// taken notes that a revision was written, when files changed last, or why it was not written.
func (r *reporter) taken(revision int64, changed time.Time, err error) {
	r.mu.Lock()
	r.changed = changed
	if err == nil {
		r.revision = revision
	}
	r.seen, r.trouble = revision, err
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// run reports soon after each change, and each reportPeriod. Changes that come faster than farmc answers share a
// report: an answer costs as much CPU time as the load of a small change.
func (r *reporter) run(ctx context.Context) {
	go r.renew(ctx)
	told, asked := "", time.Now()
	for ctx.Err() == nil {
		began := time.Now()
		now := r.report(ctx)
		took := time.Since(began)
		if err := r.write(ctx, now); err != nil && ctx.Err() == nil && err.Error() != told {
			told = err.Error()
			r.log("warning: cannot report to etcd: %s", printable(told))
		}
		wait := max(reportPeriod, askShare*took)
		if !now.Loaded && now.Fault == "" && time.Since(asked) < askFor {
			wait = askAgain(took)
		}
		select {
		case <-ctx.Done():
		case <-r.news:
			asked = time.Now()
			sleep(ctx, askAgain(took)) // farmc loads meanwhile
		case <-time.After(wait):
		}
	}
}

// askAgain is the pause to the next question after a change, when the last one took so long.
func askAgain(took time.Duration) time.Duration { return max(askPeriod, (askShareNew-1)*took) }

// sleep waits for a time, or for the end of ctx.
func sleep(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// report describes this machine.
func (r *reporter) report(ctx context.Context) report {
	r.mu.Lock()
	out := report{Host: r.host, Prefix: r.prefix, Revision: r.revision, Seen: r.seen,
		Time: time.Now().UTC().Truncate(time.Second)}
	trouble, changed := r.trouble, r.changed
	r.mu.Unlock()
	if trouble != nil {
		out.Fault = trouble.Error()
		return out
	}
	out.Loaded, out.Fault = r.ask(ctx, changed)
	return out
}

// A status is the part of farmc status --json that tells whether the farms are loaded, see farmc-operations(7).
type status struct {
	ReadAt time.Time `json:"readAt"`
	Agree  bool      `json:"agree"`
	Faults []fault   `json:"faults"`
}

// A fault is a fault of the farms in the files.
type fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // 0: the fault is in no line, as of a key that is missing
	Message string `json:"message"`
}

func (f fault) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
}

// statusTimeout is the time for an answer of farmc status.
const statusTimeout = time.Minute

// ask asks farmc whether the farms in the files are loaded. Neither is the result if farmc read the files before their
// last change.
func (r *reporter) ask(ctx context.Context, changed time.Time) (loaded bool, fault string) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var complaint bytes.Buffer
	args := []string{"status", "--json"}
	for _, dir := range r.farmcDirs {
		args = append(args, "--dir", dir)
	}
	cmd := exec.CommandContext(ctx, r.farmc, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "STATE_DIRECTORY=") // of farmc-etcd.service; farmc would take it for its own
	})
	cmd.Stderr = &complaint
	text, err := cmd.Output() // the exit status is 1 also if the machine stops packets
	var s status
	if json.Unmarshal(text, &s) != nil {
		return false, strings.TrimSpace(fmt.Sprintf("farmc status: %v: %s", err, complaint.String()))
	}
	if !s.ReadAt.After(changed) {
		return false, ""
	}
	if len(s.Faults) > 0 {
		return false, s.Faults[0].String()
	}
	return s.Agree, ""
}

// renew writes the last report again, so that its lease does not end while farmc is asked, and while the next question
// waits: both last minutes if farmc is slow. The report keeps its time. An error is left to run.
func (r *reporter) renew(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(ctx, r.lifetime/3)
		r.writing.Lock()
		if r.last.Host != "" && ctx.Err() == nil {
			_ = r.writeLocked(ctx, r.last)
		}
		r.writing.Unlock()
	}
}

// write writes the report under a lease.
func (r *reporter) write(ctx context.Context, now report) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.last = now
	return r.writeLocked(ctx, now)
}

func (r *reporter) writeLocked(ctx context.Context, now report) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if r.lease != 0 {
		if _, err := r.client.KeepAliveOnce(ctx, r.lease); err != nil {
			r.lease = 0 // etcd was away for longer than the lease
		}
	}
	if r.lease == 0 {
		granted, err := r.client.Grant(ctx, int64(r.lifetime.Seconds()))
		if err != nil {
			return err
		}
		r.lease = granted.ID
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	_, err = r.client.Put(ctx, now.key(), string(text), clientv3.WithLease(r.lease))
	return err
}

// Package resolve asks DNS for the addresses of hostnames, and asks again when an answer expires. The last good answer
// of a hostname stays while DNS fails.
//
// Names are fully qualified: the search list of resolv.conf is not used, so a name means the same on every machine and
// at boot. /etc/hosts comes first. The package knows no farms, no files but these two, and no rules.
//
// resolver.go (Resolver) has the schedule. record.go has the answer of a hostname, and joins it with the next reply.
// lookup.go asks for a hostname once; query.go speaks to the servers of resolv.conf; hosts.go reads /etc/hosts.
package resolve

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A Resolver asks for hostnames until its context ends. Its fields are set before Run.
type Resolver struct {
	Config string                        // path of resolv.conf
	Hosts  string                        // path of the file of hosts
	Port   string                        // of the servers
	Refuse func(netip.Addr) (why string) // addresses that no answer may have; "": this one may
	Least  time.Duration                 // an answer is used at least so long, even if its TTL is shorter
	Most   time.Duration                 // and at most so long

	mu      sync.Mutex
	names   map[string]*name
	changed chan struct{} // has an item if a record changed since it was taken
	wanted  chan struct{} // has an item if names changed
}

// A Wanted is a question about a hostname.
type Wanted struct {
	IP4, IP6 bool
	Last     []netip.Addr // its last good answer, for the time until the first one
}

// A name is a hostname that is asked for.
type name struct {
	wanted Wanted
	record Record
	asking bool
	due    time.Time
	pause  time.Duration // after the last failure
}

// The bounds of a resolver.
const (
	maxNames     = 512 // more are not asked for
	maxAtOnce    = 16  // hostnames that are asked for at the same time
	leastTTL     = 5 * time.Second
	mostTTL      = 10 * time.Minute
	longestPause = time.Minute // between two questions about a name while DNS fails
)

// New returns a resolver with the files of this machine.
func New(refuse func(netip.Addr) string) *Resolver {
	return &Resolver{Config: "/etc/resolv.conf", Hosts: "/etc/hosts", Port: "53", Refuse: refuse, Least: leastTTL,
		Most: mostTTL, names: map[string]*name{}, changed: make(chan struct{}, 1), wanted: make(chan struct{}, 1)}
}

// Changed returns a channel that has an item after records changed.
func (r *Resolver) Changed() <-chan struct{} { return r.changed }

// Want sets the hostnames that are asked for. It does not wait for answers.
func (r *Resolver) Want(wanted map[string]Wanted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.names, func(host string, _ *name) bool {
		_, still := wanted[host]
		return !still
	})
	for _, host := range slices.Sorted(maps.Keys(wanted)) {
		w, known := wanted[host], r.names[host]
		if known == nil {
			known = newName(w, len(r.names))
			r.names[host] = known
		}
		if known.wanted.IP4 != w.IP4 || known.wanted.IP6 != w.IP6 {
			known.wanted, known.due = w, time.Time{}
		}
	}
	notify(r.wanted)
}

func newName(w Wanted, before int) *name {
	n := &name{wanted: w, record: Record{Addresses: slices.Clone(w.Last)}}
	if before >= maxNames {
		n.asking = true // never asked for
		n.record = n.record.failed(time.Now(), errTooMany)
	}
	return n
}

// Records returns the record of each hostname that is asked for.
func (r *Resolver) Records() map[string]Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]Record{}
	for host, n := range r.names {
		out[host] = n.record
	}
	return out
}

// Run asks until ctx is done.
func (r *Resolver) Run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	places := make(chan struct{}, maxAtOnce)
	for ctx.Err() == nil {
		r.askDue(ctx, &asking, places)
		select {
		case <-ctx.Done():
		case <-r.wanted:
		case <-time.After(r.pause(time.Now())):
		}
	}
}

// askDue asks for the hostnames that are due, as many at the same time as there are places.
func (r *Resolver) askDue(ctx context.Context, asking *sync.WaitGroup, places chan struct{}) {
	for _, host := range r.take(time.Now()) {
		asking.Go(func() {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				r.ask(ctx, host)
			case <-ctx.Done():
			}
		})
	}
}

// take returns the hostnames that are due, and marks them as asked for.
func (r *Resolver) take(now time.Time) (due []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for host, n := range r.names {
		if !n.asking && !n.due.After(now) {
			n.asking = true
			due = append(due, host)
		}
	}
	return due
}

// pause returns the time until the next hostname is due.
func (r *Resolver) pause(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := now.Add(longestPause)
	for _, n := range r.names {
		if !n.asking && n.due.Before(next) {
			next = n.due
		}
	}
	return max(next.Sub(now), 10*time.Millisecond)
}

// ask asks for one hostname, and keeps the result.
func (r *Resolver) ask(ctx context.Context, host string) {
	r.mu.Lock()
	n := r.names[host]
	r.mu.Unlock()
	if n == nil {
		return
	}
	reply := r.lookup(ctx, host, n.wanted)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := n.record
	n.take(reply, time.Now(), r)
	if !n.record.same(before) {
		notify(r.changed)
	}
	notify(r.wanted) // the schedule has changed
}

// take sets the record after a reply, and the time of the next question.
func (n *name) take(reply reply, now time.Time, r *Resolver) {
	n.asking = false
	n.record = n.record.after(reply, now, r.Refuse)
	if n.record.Reason != "" {
		n.pause = min(max(2*n.pause, time.Second), longestPause)
		n.due = now.Add(n.pause)
	} else {
		n.pause = 0
		n.due = now.Add(min(max(reply.ttl(), r.Least), r.Most))
	}
	n.record.Next = n.due.UTC().Truncate(time.Second)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// AskOnce asks for hostnames once, and returns their records. It takes a few seconds at most.
func (r *Resolver) AskOnce(ctx context.Context, wanted map[string]Wanted) map[string]Record {
	ctx, cancel := context.WithTimeout(ctx, onceLimit)
	defer cancel()
	r.Want(wanted)
	var asking sync.WaitGroup
	r.askDue(ctx, &asking, make(chan struct{}, maxAtOnce))
	asking.Wait()
	return r.Records()
}

// onceLimit is the time that AskOnce takes at most.
const onceLimit = 10 * time.Second

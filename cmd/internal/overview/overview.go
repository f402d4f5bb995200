// Package overview answers which farms have problems: all farms in the order of their problems, page by page, with the
// course of their numbers and the changes of their backends since the start. It knows the status of farms from package
// live, and events. It does not know HTTP, the kernel and rules.
//
// Order of the files: overview.go (View and its questions), document.go (the answers), index.go (all farms in their
// order, with the words to search), problem.go (the problems of a farm in words), trend.go (samples of numbers),
// numbers.go (the numbers of a farm), course.go (the course of a number), change.go (changes of backends).
//
// Be aware: numbers of the kernel cost processor time, so they are sampled often only while a question was asked
// lately, and a rest between two samples bounds the share of a processor. Memory is bounded by the limits of trend.go,
// course.go and change.go for any number of farms.
package overview

import (
	"context"
	"errors"
	"sync"
	"time"

	"farmc/cmd/internal/live"
)

// A Reader reads the farms.
type Reader interface {
	Current() *live.Snapshot
	Outline(ctx context.Context) (live.Outline, error)
	Measures(ctx context.Context) (live.Measures, error)
}

// A View answers questions about all farms. Its methods can be called at once.
type View struct {
	reader  Reader
	began   time.Time
	trends  *trends
	changes changes
	asked   chan struct{} // of one place: a question was asked

	building sync.Mutex // held while the index is built

	mu    sync.Mutex
	index *index
}

// New returns a view of the farms of a reader.
func New(r Reader) *View {
	return &View{reader: r, began: time.Now(), trends: newTrends(), asked: make(chan struct{}, 1)}
}

// Ages of an index of the same files: up to the first it is new, and up to the second it answers a question while the
// next one is made. The index of 10,000 farms takes 0.2 s.
const (
	indexAge = 3 * time.Second
	staleAge = 30 * time.Second
)

// current returns the index of the farms.
func (v *View) current(ctx context.Context) (*index, error) {
	known := v.known()
	if known == nil || known.outline.Snapshot != v.reader.Current() || time.Since(known.made) > staleAge {
		return v.renewed(ctx)
	}
	if !known.isNew() {
		go func() { _, _ = v.renewed(context.WithoutCancel(ctx)) }()
	}
	return known, nil
}

// isNew reports whether an index needs no successor yet. To make one takes a tenth of a processor at most.
func (x *index) isNew() bool { return time.Since(x.made) < max(indexAge, 10*x.took) }

// renewed returns a new index. Calls at the same time have one result.
func (v *View) renewed(ctx context.Context) (*index, error) {
	v.building.Lock()
	defer v.building.Unlock()
	if known := v.known(); known != nil && known.outline.Snapshot == v.reader.Current() && known.isNew() {
		return known, nil
	}
	began := time.Now()
	outline, err := v.reader.Outline(ctx)
	if err != nil && !errors.Is(err, live.ErrNothingLoaded) {
		return nil, err
	}
	made := newIndex(outline)
	made.took = time.Since(began)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.index = made
	return made, nil
}

// Forget has the next question answered by a new index. A change that no snapshot has, as of a trial, needs it.
func (v *View) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.index = nil
}

func (v *View) known() *index {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.index
}

// A Query asks for a page of farms.
type Query struct {
	Search string // words that a farm has all; "": every farm
	Show   Group  // "": all groups
	Page   int    // from 1
	Size   int    // farms on a page
}

// Page returns a page of the farms, the ones with the worst problems first.
func (v *View) Page(ctx context.Context, q Query) (Page, error) {
	all, err := v.current(ctx)
	if err != nil {
		return Page{}, err
	}
	found := all.find(q)
	count := len(found)
	pages := max(1, (len(found)+q.Size-1)/q.Size)
	q.Page = min(max(q.Page, 1), pages)
	found = found[min((q.Page-1)*q.Size, len(found)):min(q.Page*q.Size, len(found))]
	v.ask(found)
	p := all.head()
	p.Found, p.Page, p.Pages = count, q.Page, pages
	p.Sums = v.trends.sums()
	for _, r := range found {
		p.Farms = append(p.Farms, r.row(v.trends.of(r.status.Name)))
	}
	return p, nil
}

// ErrNoFarm says that neither the files nor the last load have a farm.
var ErrNoFarm = live.ErrNoFarm

// Farm returns the details of a farm.
func (v *View) Farm(ctx context.Context, name string) (Farm, error) {
	all, err := v.current(ctx)
	if err != nil {
		return Farm{}, err
	}
	r, ok := all.byName[name]
	if !ok {
		return Farm{}, ErrNoFarm
	}
	v.ask([]*entry{r})
	return all.farm(r, v.trends.of(name)), nil
}

// ask has the numbers of farms sampled from now on.
func (v *View) ask(rows []*entry) {
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.status.Name
	}
	v.trends.want(names)
	select {
	case v.asked <- struct{}{}:
	default:
	}
}

// Changes returns the last changes of backends, the newest first: of a farm, or of all if farm is "".
func (v *View) Changes(farm string) Changes {
	return Changes{Since: v.began.UTC().Truncate(time.Second), Changes: v.changes.of(farm)}
}

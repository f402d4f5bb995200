package live

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"farmc/cmd/internal/nft"
)

// A Guard knows what the kernel held after a load, and tells what somebody else has done to it since.
type Guard struct {
	engine *Engine
	held   nft.Holding // nil: what it is to hold isn't known
	load   loadMark

	elements bool // whether elements are compared, too
}

// mostCompared is the number of lines of a script up to which its elements are compared, too. Beyond that the kernel
// takes long to tell them.
const mostCompared = 20_000

// A loadMark tells one load from another, also of the same script: each writes loaded.nft anew.
type loadMark struct {
	size int64
	time time.Time
}

// Guard gives a guard that knows of nothing yet.
func (e *Engine) Guard() *Guard { return &Guard{engine: e} }

// Remember takes what the kernel holds now for what it is to hold.
func (g *Guard) Remember(ctx context.Context) error {
	release, err := g.engine.Store.Lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	_, err = g.begin(ctx)
	return err
}

// Wrong says in words what somebody has done to the rules, or "". What another farmc has loaded is right: that is what
// it is to hold from then on.
func (g *Guard) Wrong(ctx context.Context) (string, error) {
	release, err := g.engine.Store.Lock(ctx, func() {}) // another farmc may be in the middle of a load
	if err != nil {
		return "", err
	}
	defer release()
	if g.held == nil || g.engine.Store.mark() != g.load {
		return g.begin(ctx)
	}
	now, err := g.engine.Nft.Holding(ctx, g.elements)
	if err != nil {
		return "", err
	}
	return shortly(g.held.Differs(now)), nil
}

// begin looks at what the kernel holds, and says what is wrong with it: somebody may have been quicker.
func (g *Guard) begin(ctx context.Context) (string, error) {
	g.held, g.load = nil, g.engine.Store.mark()
	kept, err := g.engine.Store.Loaded()
	if err != nil || kept.Script == nil {
		return "", err
	}
	g.elements = bytes.Count(kept.Script, []byte("\n")) <= mostCompared
	held, err := g.engine.Nft.Holding(ctx, g.elements)
	if err != nil {
		return "", err
	}
	digest, err := g.engine.Nft.Loaded(ctx)
	switch {
	case err != nil:
		return "", err
	case digest == "":
		return noFarms, nil
	case digest != kept.Digest:
		return otherFarms, nil
	}
	g.held = held
	return "", nil
}

// shortly joins what fits into a line of a log.
func shortly(words []string) string {
	const most = 4
	if more := len(words) - most; more > 0 {
		return strings.Join(words[:most], ", ") + fmt.Sprintf(", and %d things more", more)
	}
	return strings.Join(words, ", ")
}

// mark tells the last load from others.
func (s Store) mark() loadMark {
	info, err := os.Stat(filepath.Join(s.Dir, loadedFile))
	if err != nil {
		return loadMark{}
	}
	return loadMark{info.Size(), info.ModTime()}
}

// flurry is how long changes of rules are taken together.
const flurry = 50 * time.Millisecond

// Changes tells who changed farmc's tables, whenever that happens, many changes at once; farmc's own loads are among it.
func (e *Engine) Changes(ctx context.Context) (<-chan string, error) {
	commits, err := e.Nft.Listen(ctx)
	if err != nil {
		return nil, err
	}
	changes := make(chan string)
	go func() {
		defer close(changes)
		for c := range commits {
			last := c
			for calm := time.After(flurry); calm != nil; {
				select {
				case last = <-commits:
				case <-calm:
					calm = nil
				}
			}
			select {
			case changes <- last.By:
			case <-ctx.Done():
			}
		}
	}()
	return changes, nil
}

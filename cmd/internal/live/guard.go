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
	"farmc/compiler"
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

// Guard gives a guard that knows of nothing yet, and learns of each load of the engine.
func (e *Engine) Guard() *Guard {
	e.guard = &Guard{engine: e}
	return e.guard
}

// loaded takes what the kernel holds right after a load for what it is to hold. Who takes all of it away in these
// milliseconds is found out; who changes a part is not.
func (g *Guard) loaded(ctx context.Context, script *compiler.Script) {
	if g == nil {
		return
	}
	g.elements = bytes.Count(script.Text, []byte("\n")) <= mostCompared
	held, err := g.engine.Nft.Holding(ctx, g.elements)
	digest, err2 := g.engine.Nft.Loaded(ctx)
	if g.held = held; err != nil || err2 != nil || digest != script.Digest {
		g.held = nil // and it is asked again
	}
}

// kept knows that load from then on by what was kept of it.
func (g *Guard) kept() {
	if g != nil {
		g.load = g.engine.Store.mark()
	}
}

// Remember takes what the kernel holds now for what it is to hold, unless it is known from the load.
func (g *Guard) Remember(ctx context.Context) error {
	release, err := g.engine.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	if g.held == nil || g.engine.Store.mark() != g.load {
		_, err = g.begin(ctx)
	}
	return err
}

// Wrong says in words what somebody has done to the rules, or "". What another farmc has loaded is right: that is what
// it is to hold from then on.
func (g *Guard) Wrong(ctx context.Context) (string, error) {
	release, err := g.engine.lock(ctx, func() {}) // another farmc may be in the middle of a load
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

// Changes tells who changed farmc's tables, at once; what happens before that is received is told with it. Farmc's own
// loads are among it.
func (e *Engine) Changes(ctx context.Context) (<-chan string, error) {
	commits, err := e.Nft.Listen(ctx)
	if err != nil {
		return nil, err
	}
	changes := make(chan string)
	go func() {
		defer close(changes)
		var by string
		var to chan<- string // nil while there is nothing to tell
		for {
			select {
			case c, more := <-commits:
				if !more {
					return
				}
				by, to = c.By, changes
			case to <- by:
				to = nil
			}
		}
	}()
	return changes, nil
}

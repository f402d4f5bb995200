package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/watch"
	"farmc/compiler"
)

var watchVerb = verb{
	name:    "watch",
	summary: "apply now, and at every change of a file",
	about: `Applies at the start and at each change in the directories, once they have been quiet for
100 ms. A fault is told once; the rules that run stay until it is mended. Ends with SIGTERM
or SIGINT, and leaves the rules.`,
	run: func(ctx context.Context, c *call) int {
		changes := watch.Watch(ctx, c.dirPaths(), func(err error) { c.tell("farmc: %v", err) })
		w := watcher{call: c, engine: c.engine(), told: "nothing yet"}
		w.apply(ctx)
		for range changes {
			w.apply(ctx)
		}
		return done
	},
}

// A watcher applies again and again, and does not repeat itself.
type watcher struct {
	*call
	engine *live.Engine
	told   string // the diagnostics and errors that were told last
}

func (w *watcher) apply(ctx context.Context) {
	began := time.Now()
	p, told, err := w.engine.Apply(ctx)
	if ctx.Err() != nil {
		return
	}
	said := saying(told, err)
	news := said != w.told
	w.told = said
	if news {
		w.outcome(p.Script, told, err)
	}
	loaded := err == nil || errors.Is(err, live.ErrUnkept)
	switch {
	case !loaded && news:
		w.tell("the rules that run stay as they are")
	case !loaded || p.Held && !news && len(p.Changes) == 0:
	case len(p.Changes) > 0:
		w.tell("%s; %s", few(p.Changes), result(p, time.Since(began)))
	default:
		w.tell("%s", result(p, time.Since(began)))
	}
}

// saying is what diagnostics and an error come to, to be compared.
func saying(told compiler.Diagnostics, err error) string {
	var out strings.Builder
	told.Print(&out, compiler.Palette{})
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

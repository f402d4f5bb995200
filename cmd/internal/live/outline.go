package live

import (
	"bytes"
	"context"
	"strings"
	"time"

	"farmc/compiler/ruleset"
)

// An Outline is the state of the farms without their numbers, which only the kernel has. It costs little even while
// the table of connections is large.
type Outline struct {
	Measures
	Snapshot *Snapshot
	OnTrial  bool          // the load waits to be confirmed
	Left     time.Duration // to confirm it
}

// Outline returns the farms of the last load without their numbers. ErrNothingLoaded comes with the part that needs no
// farm.
func (r *Reader) Outline(ctx context.Context) (Outline, error) {
	return shared(ctx, &r.outlining, "", func() (Outline, error) { return r.outlineNow(context.WithoutCancel(ctx)) })
}

func (r *Reader) outlineNow(ctx context.Context) (Outline, error) {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return Outline{}, err
	}
	defer end()
	m, err := r.engine.outline(ctx, s)
	for i := range m.Farms {
		m.Farms[i].setCondition(m.Rules, nil)
	}
	out := Outline{Measures: m, Snapshot: s}
	if t, failed := r.engine.Store.Trial(); failed == nil && t != nil {
		out.OnTrial, out.Left = true, max(0, t.Left())
	}
	if blocked, failed := r.engine.blocked(s.files); failed == nil && blocked != nil {
		out.Blocked = blocked.Error()
	}
	return out, err
}

// outline is measure without the numbers of the kernel.
func (e *Engine) outline(ctx context.Context, s *Snapshot) (Measures, error) {
	m := Measures{Status: newStatus(), Persistent: map[string]int{}, Bans: map[string]int{},
		FindingsOn: e.lastLook().Count, NoBytes: whyNoBytes()}
	m.setFaults(s.files)
	if err := s.known(); err != nil {
		return m, err
	}
	var err error
	if m.Rules, err = e.rules(ctx, s.last); err != nil {
		return m, err
	}
	m.Load = loadFacts(e.Store, s.last)
	m.setPending(s.last, s.files, "")
	m.Agree = m.Rules == RulesLoaded && len(m.Pending)+len(m.Faults) == 0
	m.addFarms(s.loaded.script.Farms, s.loaded.sources, e.Records)
	m.findHere()
	return m, nil
}

// Excerpt returns lines of a source file around line n, which counts from 1, and the number of the first one. A file
// that is unknown, or has no such line, has none.
func (s *Snapshot) Excerpt(file string, n, around int) (lines []string, first int) {
	f, known := s.files.sources.ByPath[file]
	if !known || f.Err != nil || n < 1 {
		return nil, 0
	}
	first = max(1, n-around)
	at := 1
	for line := range bytes.Lines(f.Text) {
		if at >= first && at <= n+around {
			lines = append(lines, strings.TrimRight(string(line), "\r\n"))
		}
		if at++; at > n+around {
			break
		}
	}
	return lines, first
}

// LoadedScript is the script that was loaded last, with the farm of each line; nil if it is not known.
func (s *Snapshot) LoadedScript() *ruleset.Script {
	if s.loaded == nil {
		return nil
	}
	return s.loaded.script
}

package live

import (
	"fmt"
	"maps"
	"slices"

	"farmc/cmd/internal/source"
	"farmc/cmd/internal/statedir"
	"farmc/compiler"
	"farmc/compiler/farm"
)

// A hold keeps farms and lists that were rolled back from being loaded again until they change. It is the content of
// held.json.
type hold struct {
	Items   map[string]string `json:"items"`             // digest of each farm and list; "": it was removed
	Sources []string          `json:"sources,omitempty"` // digests of all source files, written by farmc 0.1.0
	Why     string            `json:"why"`
}

// still returns the farms and lists that have not changed since the hold began.
func (h hold) still(now, last *source.Files) (items []string) {
	current := now.Edits()
	if len(h.Items) == 0 && slices.Contains(h.Sources, now.Digest()) {
		return farm.Changed(current, last.Edits())
	}
	for item, digest := range h.Items {
		if current[item] == digest {
			items = append(items, item)
		}
	}
	slices.Sort(items)
	return items
}

// A heldBack is a compilation in which the farms on hold are as they were loaded last.
type heldBack struct {
	items  []string // farms and lists on hold
	why    string
	blocks bool         // the compilation must not be loaded as it is
	mixed  *compilation // nil: the files of the last load are unknown, so nothing can be loaded
}

// heldBack returns the farms on hold. None blocks a compilation of the farms that are loaded.
func (e *Engine) heldBack(c *compilation) (heldBack, error) {
	var h hold
	if err := e.Store.ReadJSON(statedir.HeldFile, &h); err != nil || h.empty() {
		return heldBack{}, err
	}
	last, err := e.Store.Loaded()
	if err != nil {
		return heldBack{}, err
	}
	sources := e.Store.SourcesOf(last.Digest)
	known := sources != nil
	if !known {
		sources = &source.Files{}
	}
	b := heldBack{items: h.still(c.onDisk(), sources), why: h.Why}
	if c.actual != nil { // a faulty drop-in that appears does not end a hold
		b.items = append(b.items, h.still(c.sources, sources)...)
		slices.Sort(b.items)
		b.items = slices.Compact(b.items)
	}
	b.blocks = len(b.items) > 0 && c.differs(last)
	if b.blocks && known {
		b.mixed = c.keeping(sources, b.items)
	}
	return b, nil
}

// differs reports whether the farms differ from the farms of the last load. Their rules may be the same in spite of a
// change, such as a weight beside a backend that is down.
func (c *compilation) differs(last statedir.LastLoad) bool {
	return c.script == nil || last.Digest != c.script.Digest ||
		last.Farms != nil && len(farm.Changes(last.Farms, farm.Describe(c.script.Farms))) > 0
}

func (h hold) empty() bool { return len(h.Items) == 0 && len(h.Sources) == 0 }

// keeping compiles the files with some farms and lists in their version of the last load. A state of a backend that
// this version lacks is left out.
func (c *compilation) keeping(last *source.Files, items []string) *compilation {
	sources := c.sources.WithEdits(last, items)
	mixed := compileLocal(&compiler.Compiler{}, sources, sources.Dirs())
	if mixed.script == nil {
		sources = sources.WithoutStates(items)
		mixed = compileLocal(&compiler.Compiler{}, sources, sources.Dirs())
	}
	mixed.standFor(c)
	return mixed
}

// err returns ErrHeld with the reason.
func (h heldBack) err() error {
	return fmt.Errorf("%w (%s); farmc apply --confirm tries them once more", ErrHeld, h.why)
}

// loads reports whether there is more to load than the farms on hold: the compilation differs from the last load.
func (h heldBack) loads(s statedir.Store) bool {
	last, err := s.Loaded()
	return err == nil && h.mixed != nil && h.mixed.differs(last)
}

// descriptions returns a sentence for each farm and list on hold.
func (h heldBack) descriptions() (out []string) {
	for _, item := range h.items {
		out = append(out, fmt.Sprintf("%s is on hold until it changes (%s)", source.ItemWords(item), h.why))
	}
	return out
}

// releaseHold ends the hold of farms and lists that changed.
func (e *Engine) releaseHold(items []string) error {
	var h hold
	if err := e.Store.ReadJSON(statedir.HeldFile, &h); err != nil || h.empty() {
		return err
	}
	before := len(h.Items)
	maps.DeleteFunc(h.Items, func(item, _ string) bool { return !slices.Contains(items, item) })
	switch {
	case len(items) == 0:
		return e.Store.WriteJSON(statedir.HeldFile, nil)
	case len(h.Items) == before:
		return nil
	}
	return e.Store.WriteJSON(statedir.HeldFile, h)
}

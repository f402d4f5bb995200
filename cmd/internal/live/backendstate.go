package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A StateChange asks for a state of a backend. Drain and down are written as a drop-in of farmc's own; up removes that
// drop-in, and leaves the states that other files set.
type StateChange struct {
	Farm, Backend string
	State         farm.State
	For           time.Duration // a running watch ends the state after this time; 0: no end
	Keep          bool          // in the first directory, which outlasts a reboot
	Tracked       bool          // refuse a farm whose connections are not tracked
}

// Errors of state changes. ErrOtherState says that another file sets the state or the weight.
var (
	ErrNoWatcher = errors.New("no farmc watch runs, which would end the state after the time: " +
		"systemctl enable --now farmc-watch")
	ErrUntracked  = errors.New("its connections are not tracked, so their end cannot be seen")
	ErrOtherState = errors.New("another file sets it")
	ErrReadOnly   = errors.New("no directory can take the drop-in: read-only, or emptied by a reboot")
)

// SetState does the write of a state change. If another file keeps a backend from state up, its drop-in is removed, and
// the error names that file.
func (e *Engine) SetState(ctx context.Context, change StateChange) (Plan, diag.Diagnostics, error) {
	r := e.Write(ctx, change.Write())
	return r.Plan, r.Diagnostics, change.Explain(r)
}

// Write returns the write that adds or removes the drop-in for the state. Explain tells whether it succeeded.
func (change StateChange) Write() Write {
	w := Write{Item: change.Farm + ".toml", Part: change.Backend, Urgent: true,
		Changes: func(files Files) ([]source.Change, error) {
			if err := change.admit(files); err != nil {
				return nil, err
			}
			return change.dropIn().changes(files)
		},
	}
	if change.State != farm.Up {
		w.Check = change.check
	}
	return w
}

// admit returns why the state cannot be set: the farm or the backend does not exist, or tracks no connections.
func (change StateChange) admit(files Files) error {
	f, err := files.farmWith(change.Farm, change.Backend)
	if err != nil {
		return err
	}
	if change.Tracked && !f.Tracked() {
		return fmt.Errorf("farm %s has mode %s: %w", f.Name, f.Mode, ErrUntracked)
	}
	return nil
}

// farmWith returns a farm that has the backend.
func (f Files) farmWith(name, backend string) (*farm.Farm, error) {
	found, err := f.Farm(name, backend)
	if err != nil {
		return nil, err
	}
	if backendOf(found, backend) == nil {
		return nil, UnknownBackend(found, backend)
	}
	return found, nil
}

// rememberedFarm returns a farm of the last compilation if it has the backend, or nil.
func (e *Engine) rememberedFarm(name, backend string) *farm.Farm {
	if f := farmNamed(e.memory().farms, name); f != nil && backendOf(f, backend) != nil {
		return f
	}
	return nil
}

// farmNamed returns the farm of a name, or nil.
func farmNamed(farms []*farm.Farm, name string) *farm.Farm {
	i := slices.IndexFunc(farms, func(f *farm.Farm) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return farms[i]
}

// farmsByName returns the farms by their names.
func farmsByName(farms []*farm.Farm) map[string]*farm.Farm {
	out := make(map[string]*farm.Farm, len(farms))
	for _, f := range farms {
		out[f.Name] = f
	}
	return out
}

// knownFarm returns a farm of the files, or of the last load if the files have faults. If the last compilation has the
// farm and the backend, the files are not read.
func (e *Engine) knownFarm(name, backend string) (*farm.Farm, error) {
	if f := e.rememberedFarm(name, backend); f != nil {
		return f, nil
	}
	const faulty = "; the files have faults: run farmc check"
	var farms []*farm.Farm
	more := ""
	c := e.compile()
	if c.permissions.Faulty() {
		return nil, worded(ErrUntrusted, "other users can write to the farms: run farmc check")
	}
	if c.script != nil {
		farms = c.script.Farms
	} else if _, last, err := e.lastLoaded(); err == nil {
		farms, more = last.script.Farms, faulty
	} else {
		more = faulty
	}
	if f := farmNamed(farms, name); f != nil {
		return f, nil
	}
	if mask := e.mask(name); mask != "" {
		return nil, worded(ErrNotLoaded, "farm %q is masked: %s is a link to /dev/null", name, mask)
	}
	class := ErrNoFarm
	if _, exists := Readings(c.readings).Find(name); exists {
		class = ErrNotLoaded
	}
	return nil, worded(class, "there is no farm %q%s%s", name, suggestion(name, NamesOf(farms)), more)
}

// mask returns the path of the link to /dev/null that masks a farm, or "".
func (e *Engine) mask(farm string) string {
	for _, d := range slices.Backward(e.Dirs) {
		path := d.Path + "/" + farm + ".toml"
		if target, err := os.Readlink(path); err == nil && target == "/dev/null" {
			return path
		}
	}
	return ""
}

// NotLoaded returns an ErrNotLoaded for a farm of the files.
func NotLoaded(name string) error {
	return worded(ErrNotLoaded, "farm %s is not loaded: run farmc check", name)
}

// UnknownFarm returns an ErrNoFarm for a name that none of the farms has. It names the farm that is probably meant.
func UnknownFarm(name string, farms []string) error {
	return worded(ErrNoFarm, "there is no farm %q%s", name, suggestion(name, farms))
}

// UnknownBackend returns an ErrNoBackend for a name that no backend of the farm has. It names the one that is probably
// meant.
func UnknownBackend(f *farm.Farm, name string) error {
	return worded(ErrNoBackend, "farm %s has no backend %q%s", f.Name, name, suggestion(name, backendNames(f)))
}

// suggestion names the known word that is probably meant, or all of them.
func suggestion(word string, known []string) string {
	const most = 10
	switch near := diag.Nearest(word, known); {
	case near != "":
		return fmt.Sprintf("; did you mean %s?", near)
	case len(known) == 0:
		return ""
	case len(known) > most:
		return fmt.Sprintf(", but %s and %d more", strings.Join(known[:most], ", "), len(known)-most)
	}
	return ", but " + strings.Join(known, ", ")
}

// backendOf returns a backend by its name, or the first of several that a hostname stands for.
func backendOf(f *farm.Farm, name string) *farm.Backend {
	if all := f.Named(name); len(all) > 0 {
		return all[0]
	}
	if h := f.HostOf(name); h != nil {
		return &farm.Backend{Name: h.Backend, Host: h.Name, Weight: h.Weight, State: h.State, StateAt: h.StateAt}
	}
	return nil
}

func backendNames(f *farm.Farm) (names []string) {
	for _, b := range f.Backends {
		names = append(names, b.FileName())
	}
	return slices.Compact(names)
}

// An otherState is the error of a backend that has another state than the wanted one.
type otherState struct {
	change StateChange
	state  farm.State
}

func (o otherState) Error() string {
	return fmt.Sprintf("backend %s is still %s", o.change.Backend, o.state)
}

// Is makes the error an ErrOtherState.
func (o otherState) Is(target error) bool { return target == ErrOtherState }

// check returns why the backend does not have the state, or nil.
func (change StateChange) check(farms []*farm.Farm) error {
	b, err := writtenBackend(farms, change.Farm, change.Backend)
	if err == nil && b.State != change.State && !source.IsHealthDropIn(b.StateAt.File) {
		return otherState{change, b.State}
	}
	return err
}

// writtenBackend returns the backend that a write is about, or why the farms do not have it.
func writtenBackend(farms []*farm.Farm, name, backend string) (*farm.Backend, error) {
	f := farmNamed(farms, name)
	if f == nil {
		return nil, NotLoaded(name)
	}
	b := backendOf(f, backend)
	if b == nil {
		return nil, worded(ErrNotLoaded, "farm %s stays as it was loaded last: run farmc check", name)
	}
	return b, nil
}

// Explain returns the error of the result of the write; nil if the backend has the state, or will have it when its
// checkers say that it is healthy. The error names the file that sets another state.
func (change StateChange) Explain(r WriteResult) error {
	err := r.Err
	if err == nil {
		err = change.check(r.Script.Farms)
	}
	var other otherState
	if !errors.As(err, &other) || r.compilation == nil || r.compilation.script == nil {
		return err
	}
	if f := farmNamed(r.compilation.script.Farms, change.Farm); f != nil {
		return fmt.Errorf("%w: %s sets its state", err, r.stateFile(change, f))
	}
	return err
}

// isIsolated reports whether a sentence about a kept farm or list has the prefix.
func (p Plan) isIsolated(prefix string) bool {
	return slices.ContainsFunc(p.Isolated, func(words string) bool { return strings.HasPrefix(words, prefix) })
}

// isHeld reports whether a sentence about a farm or list on hold has the prefix.
func (p Plan) isHeld(prefix string) bool {
	return slices.ContainsFunc(p.Held, func(words string) bool { return strings.HasPrefix(words, prefix) })
}

// stateFile returns the path of the file that sets the state of the backend: the last drop-in without which it is
// the wanted one, or else the farm's own file.
func (p Plan) stateFile(change StateChange, loaded *farm.Farm) string {
	item := loaded.Name + ".toml"
	files := p.sources.Of(item)
	for _, f := range slices.Backward(files) {
		without := &source.Files{Roots: p.sources.Roots, ByPath: map[string]source.File{}}
		for path, other := range p.sources.ByPath {
			of := source.Item(path)
			isPart := of == item || strings.HasSuffix(of, ".list") || other.IsAnswers()
			if isPart && other.Name != f.Name {
				without.ByPath[path] = other
			}
		}
		c := compileLocal(&compiler.Compiler{}, without, without.Dirs())
		if c.script == nil || len(c.script.Farms) != 1 {
			continue
		}
		if b := backendOf(c.script.Farms[0], change.Backend); b != nil && b.State == change.State {
			return p.sources.Roots[f.Dir].Path + "/" + f.Name
		}
	}
	return loaded.Place.File
}

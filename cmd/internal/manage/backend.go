package manage

import (
	"encoding/json"
	"strings"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// PutBackend creates a backend of a farm, or replaces its keys. The rest of the farm's file stays as it is.
func PutBackend(name, backend string, document edit.Document, when Condition) live.Write {
	whole := inBackend(backend, map[string]any(document))
	w := writeBackend(name, backend, whole, func(t *target) ([]source.Change, error) {
		now, err := t.admitBackend(backend, when)
		if err != nil {
			return nil, err
		}
		own := map[string]any(document)
		if now != nil {
			own, _ = lookup(t.withoutDropIns(whole), []string{"backends", backend}).(map[string]any)
		}
		old, _ := lookup(t.own(), []string{"backends", backend}).(map[string]any)
		if now != nil && len(old)+len(own) == 0 {
			return nil, nil // a drop-in has all of it
		}
		return t.patch(inBackend(backend, replacement(old, own)))
	})
	w.Sets = func(key string) bool { return strings.HasPrefix(key+".", "backends."+backend+".") }
	return w
}

// PatchBackend edits a backend in place by a JSON merge patch.
func PatchBackend(name, backend string, patch edit.Document, when Condition) live.Write {
	document := inBackend(backend, map[string]any(patch))
	return writeBackend(name, backend, document, func(t *target) ([]source.Change, error) {
		now, err := t.admitBackend(backend, when)
		switch {
		case err != nil:
			return nil, err
		case now == nil:
			return nil, Missing{"backend"}
		}
		return t.patch(document)
	})
}

// DeleteBackend removes a backend from the farm's file, and the drop-ins that farmc wrote about it: state, weight and
// health words.
func DeleteBackend(name, backend string, when Condition) live.Write {
	document := inBackend(backend, nil)
	w := writeBackend(name, backend, document, func(t *target) ([]source.Change, error) {
		now, err := t.admitBackend(backend, when)
		switch {
		case err != nil:
			return nil, err
		case now == nil:
			return nil, Missing{"backend"}
		}
		changes, err := t.patch(document)
		if err != nil {
			return nil, err
		}
		return t.removeOwn(changes, backend)
	})
	w.InForce = func(r *farm.Reading) error { return gone(backend, r) }
	return w
}

// writeBackend returns a write to one backend in the files of a farm.
func writeBackend(name, backend string, document edit.Document,
	changes func(*target) ([]source.Change, error),
) live.Write {
	w := write(name, document, changes)
	w.Part = backend
	return w
}

// admitBackend checks a condition on a backend, and returns its keys; nil if the farm has no such backend.
func (t *target) admitBackend(backend string, when Condition) (json.RawMessage, error) {
	if !t.exists() {
		return nil, Missing{"farm"}
	}
	now := BackendOf(t.document(), backend)
	return now, t.admit(when, now)
}

// BackendOf returns the keys of a backend in the document of a farm; nil if it has no such backend.
func BackendOf(document json.RawMessage, backend string) json.RawMessage {
	var keys struct {
		Backends map[string]json.RawMessage `json:"backends"`
	}
	if json.Unmarshal(document, &keys) != nil {
		return nil
	}
	return keys.Backends[backend]
}

// inBackend returns the merge patch of a farm that gives one backend this value. Nil removes the backend.
func inBackend(backend string, value any) edit.Document {
	if table, isTable := value.(map[string]any); isTable && table == nil {
		value = map[string]any{}
	}
	return edit.Document{"backends": map[string]any{backend: value}}
}

// replacement returns the merge patch that makes a table the new one.
func replacement(old, now map[string]any) map[string]any {
	patch := make(map[string]any, len(old)+len(now))
	for key := range old {
		patch[key] = nil
	}
	for key, value := range now {
		before, wasTable := old[key].(map[string]any)
		if table, isTable := value.(map[string]any); isTable && wasTable {
			value = replacement(before, table)
		}
		patch[key] = value
	}
	return patch
}

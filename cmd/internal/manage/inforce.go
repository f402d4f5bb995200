package manage

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"farmc/cmd/internal/edit"
	"farmc/compiler/farm"
)

// inForce returns an error if a drop-in overrides a key of a client's document.
func inForce(document edit.Document, r *farm.Reading) error {
	if r == nil || r.Document() == nil {
		return nil // the compiler has found the fault
	}
	merged, faults := edit.Decode(bytes.NewReader(r.Document()))
	if len(faults) > 0 {
		return Faulty{Faults: faults}
	}
	for _, key := range leaves(nil, document) {
		want := lookup(document, key)
		if _, isEmptyTable := asTable(want); isEmptyTable || reflect.DeepEqual(lookup(merged, key), want) {
			continue
		}
		if file := overriding(r, key); file != "" {
			return Blocked{fmt.Sprintf("%s: %s overrides this key", strings.Join(key, "."), file)}
		}
	}
	return nil
}

// gone returns an error if a drop-in still defines a backend that was removed from the farm's file.
func gone(backend string, r *farm.Reading) error {
	key := []string{"backends", backend}
	if r == nil || BackendOf(r.Document(), backend) == nil {
		return nil
	}
	return Blocked{fmt.Sprintf("backend %s: %s has it as well", backend, overriding(r, key))}
}

// overriding returns the path of the last drop-in that has a key, a part of its table, or another value in the place of
// its table; "" if there is none.
func overriding(r *farm.Reading, key []string) string {
	for _, file := range slices.Backward(r.Sources()[1:]) {
		if document := readDocument(file); document != nil && touches(document, key) {
			return file
		}
	}
	return ""
}

// readDocument returns the document of a file; nil if it cannot be read, or is not TOML.
func readDocument(file string) edit.Document {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	document, _ := edit.Read(text)
	return document
}

// touches reports whether a document has the key, or a value that is no table on the way to it.
func touches(document any, key []string) bool {
	for _, name := range key {
		table, isTable := asTable(document)
		if !isTable {
			return true
		}
		value, has := table[name]
		if !has {
			return false
		}
		document = value
	}
	return true
}

// sets reports whether a merge patch sets or removes the value of a key. It does not if it only changes other keys of
// the same table.
func sets(patch edit.Document, key []string) bool {
	_, isTable := asTable(lookup(patch, key))
	return touches(patch, key) && !isTable
}

// withoutDropIns returns a document without the values that drop-ins and the defaults of the directory give the farm,
// and that its file does not have. A client that reads a farm, changes a key and writes all of it back must not make
// the state of today permanent.
func (t *target) withoutDropIns(document edit.Document) edit.Document {
	out := edit.Document(copyOf(map[string]any(document)).(map[string]any))
	if t.reading == nil || len(t.reading.Sources()) < 2 && t.reading.Defaults() == "" {
		return out
	}
	merged, own := t.merged(), t.own()
	for _, key := range leaves(nil, merged) {
		now, in := lookup(merged, key), lookup(own, key)
		if reflect.DeepEqual(now, in) || !reflect.DeepEqual(now, lookup(out, key)) {
			continue
		}
		restore(out, key, in)
	}
	return out
}

// own returns the document of the farm's file alone.
func (t *target) own() edit.Document {
	document, _ := edit.Read(t.text)
	return document
}

// merged returns the document of the farm's file and its drop-ins.
func (t *target) merged() edit.Document {
	document, _ := edit.Decode(bytes.NewReader(t.document()))
	return document
}

// restore gives a key its value in the farm's file, or removes it, with the tables that become empty.
func restore(table map[string]any, key []string, value any) {
	if len(key) > 1 {
		below, isTable := asTable(table[key[0]])
		if !isTable {
			return
		}
		restore(below, key[1:], value)
		if len(below) > 0 {
			return
		}
	} else if value != nil {
		table[key[0]] = value
		return
	}
	delete(table, key[0])
}

// leaves returns the paths of all values in a document that are no tables, in the order of their names. An empty table
// counts as a value.
func leaves(at []string, value any) (out [][]string) {
	table, isTable := asTable(value)
	if !isTable || len(table) == 0 && len(at) > 0 {
		return [][]string{at}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		out = append(out, leaves(append(slices.Clone(at), name), table[name])...)
	}
	return out
}

// lookup returns the value of a key in a document; nil if it has none.
func lookup(document any, key []string) any {
	for _, name := range key {
		table, _ := asTable(document)
		document = table[name]
	}
	return document
}

func asTable(value any) (map[string]any, bool) {
	if document, isDocument := value.(edit.Document); isDocument {
		return document, true
	}
	table, isTable := value.(map[string]any)
	return table, isTable
}

func copyOf(value any) any {
	table, isTable := value.(map[string]any)
	if !isTable {
		return value
	}
	out := make(map[string]any, len(table))
	for name, below := range table {
		out[name] = copyOf(below)
	}
	return out
}

package farm

import (
	"slices"

	"farmc/compiler/toml"
)

// A wordsKey is a key with a list of words of a type, each of them once.
type wordsKey[T any] struct {
	name   string
	things string // the words, as messages name them: "ports"
	hint   string // right words
	most   int
	parse  func(word string) (T, error)
	same   func(a, b T) bool // two words that exclude each other
	twice  string            // says so of the second one
	order  func(a, b T) int
}

// read gives the words in their order, so that the order in a file is of no account.
func (k wordsKey[T]) read(t *toml.Table) (out []T) {
	if v, ok := t.Raw(k.name); ok {
		if _, flag := v.Data.(bool); flag {
			t.Fault(v.Place, k.hint, "%s is true or false, not a list of %s", k.name, k.things)
			return nil
		}
	}
	for _, w := range t.Words(k.name) {
		item, err := k.parse(w.Text)
		switch {
		case err != nil:
			t.Fault(w.Place, k.hint, "%s: %v", k.name, err)
		case slices.ContainsFunc(out, func(o T) bool { return k.same(o, item) }):
			t.Fault(w.Place, "", "%s: %v %s", k.name, item, k.twice)
		case len(out) == k.most:
			t.Fault(w.Place, "", "%s: more than %d %s", k.name, k.most, k.things)
		default:
			out = append(out, item)
		}
	}
	slices.SortFunc(out, k.order)
	return out
}

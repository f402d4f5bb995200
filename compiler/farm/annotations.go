package farm

import "farmc/compiler/toml"

// maxAnnotations is the number of bytes that the keys and values of [annotations] have together at most.
const maxAnnotations = 4 << 10

// readAnnotations reads strings that other programs keep in a farm. No rule depends on them, so a change of them alone
// loads nothing.
func readAnnotations(t *toml.Table, _ *Farm) {
	size := 0
	for _, e := range t.Entries("annotations") {
		size += len(e.Key.Text) + len(e.Value.Text)
		if size > maxAnnotations {
			t.Fault(e.Key.Place, "keep them in a file of their own",
				"annotations: the keys and values up to here have %d bytes, at most %d", size, maxAnnotations)
			return
		}
	}
}

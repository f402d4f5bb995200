package convert

import "strings"

// A WordSet is a set of words, such as the options of a program.
type WordSet map[string]bool

// Words gives the set of the words in a text.
func Words(text string) WordSet {
	set := WordSet{}
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}

package lsp

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farmc/compiler/farm"
)

// values adds the values of a key: all of them if they are known, names of lists and backends, else its example.
func (c *completion) values() {
	k, known := keyAt(c.at.path)
	if !known {
		return
	}
	words := wordsOf(k)
	for _, word := range words {
		c.addValue(k, word, isDefault(k, word))
	}
	switch {
	case k.Table == "access" && k.Type == farm.ListType:
		c.lists(k)
	case k.Type == farm.SessionsType && len(c.at.path) > 2:
		for _, name := range c.backends() {
			c.addValue(k, name, "backend")
		}
	case words == nil && c.at.quote == "" && len(c.at.path) <= 3 && !strings.HasPrefix(k.Example, "{"):
		c.example(k)
	}
	if k.Type == farm.LimitType && c.at.quote == "" && c.at.path[len(c.at.path)-1] == k.Name {
		c.add(completionItem{Label: k.Example, Kind: kindValue, Detail: "example"}, k.Example)
	}
}

// addValue adds a word, in quotes unless the position is behind one, or the word is a flag.
func (c *completion) addValue(k farm.Key, word, detail string) {
	text := word
	if k.Type != farm.FlagType && c.at.quote == "" {
		text = `"` + word + `"`
	}
	c.add(completionItem{Label: word, Kind: kindValue, Detail: detail}, text)
}

func isDefault(k farm.Key, word string) string {
	if word == k.Default {
		return "default"
	}
	return ""
}

// example adds the example of a key, and its default.
func (c *completion) example(k farm.Key) {
	if k.Default != "" && !slices.Contains([]farm.Type{farm.ListType, farm.TextType}, k.Type) {
		text := k.Default
		if k.Type != farm.NumberType && k.Type != farm.FlagType {
			text = `"` + text + `"`
		}
		c.add(completionItem{Label: text, Kind: kindValue, Detail: "default"}, text)
	}
	if k.Example != "" {
		c.add(completionItem{Label: k.Example, Kind: kindValue, Detail: "example"}, k.Example)
	}
}

// maxLists is the number of lists that are offered.
const maxLists = 100

// lists adds the lists beside the farm, and the word any for clients that are denied.
func (c *completion) lists(k farm.Key) {
	if k.Name == "deny" {
		c.addValue(k, "any", "every other client")
	}
	if k.Name == "order" || c.document.path == "" {
		return
	}
	entries, _ := os.ReadDir(c.document.directory()) // a directory that cannot be read has no list to offer
	for _, e := range entries {
		if name, isList := strings.CutSuffix(filepath.Base(e.Name()), ".list"); isList && farm.IsName(name) &&
			len(c.items) < maxLists {
			c.addValue(k, "@"+name, "list")
		}
	}
}

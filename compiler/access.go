package compiler

import (
	"strings"
)

func readAccess(t *table, lists map[string][]network) {
	if t == nil {
		return
	}
	for _, key := range []string{"allow", "deny"} {
		for _, w := range t.words(key) {
			readAccessEntry(t, key, w, lists)
		}
	}
}

func readAccessEntry(t *table, key string, w word, lists map[string][]network) {
	name, isList := strings.CutPrefix(w.text, "@")
	switch {
	case isList && !farmNaming.MatchString(name):
		t.fault(w.place, farmNamingRule, "%s: %q can't be the name of a list", key, name)
	case isList:
		if _, ok := lists[name]; !ok {
			t.fault(w.place, "a list is a file beside the farms: "+name+".list", "%s: there is no list %s", key, name)
		}
	case w.text == "any" && key == "deny":
	default:
		if _, err := parseNetwork(w.text); err != nil {
			t.fault(w.place, networkRule+`, or "@list"`, "%s: %v", key, err)
		}
	}
}

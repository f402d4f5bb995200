package edit

import (
	"reflect"
	"strings"
	"testing"
)

// TestPatch has a case for each way in which a text spells a key.
func TestPatch(t *testing.T) {
	for _, test := range []struct{ rule, text, patch, want string }{
		// values
		{"value", "a   =  1  # c\nb=2\n", `{"a": 5}`, "a   =  5  # c\nb=2\n"},
		{"value-without-end-of-line", "a = 1", `{"a": 5}`, "a = 5"},
		{"value-in-crlf", "a = 1 \t\r\nb = 2\r\n", `{"a": 5}`, "a = 5 \t\r\nb = 2\r\n"},
		{"value-after-a-byte-order-mark", "\ufeffa = 1\n", `{"a": 5}`, "\ufeffa = 5\n"},
		{"value-in-a-section", "[a . b] # c\n  c=1\n", `{"a": {"b": {"c": 2}}}`, "[a . b] # c\n  c=2\n"},
		{"value-in-braces", "a = {b=1 , c = 2}\n", `{"a": {"c": 3}}`, "a = {b=1 , c = 3}\n"},
		{"value-of-a-dotted-key", "a . \"b\" .c = 1\n", `{"a": {"b": {"c": 2}}}`, "a . \"b\" .c = 2\n"},
		{"value-of-a-quoted-key", "'a b' = 1\n\"\\u0061\" = 2\n", `{"a b": 3, "a": 4}`, "'a b' = 3\n\"\\u0061\" = 4\n"},
		{"long-string", "a = \"\"\"\nb # \"\"\" # c\nd = 1\n", `{"a": "e"}`, "a = \"e\" # c\nd = 1\n"},
		{"long-list", "a = [ # c\n 1,\n 2, ] # d\n", `{"a": [3]}`, "a = [3] # d\n"},
		{"table-instead-of-a-value", "a = 1 # c\n", `{"a": {"b": 1, "c": null}}`, "a = { b = 1 } # c\n"},
		{"value-instead-of-braces", "a = {b=1} # c\n", `{"a": 1}`, "a = 1 # c\n"},
		{"value-instead-of-a-section", "b = 1\n\n[a]\nb=1\n\n[c]\n", `{"a": 1}`, "b = 1\na = 1\n\n[c]\n"},
		{"value-instead-of-dotted-keys", "a.b = 1\nc = 1\na.d = 2\n", `{"a": 1}`, "c = 1\na = 1\n"},
		{"value-instead-of-a-list-of-tables", "[[a]]\nb=1\n[a.c]\n[[a]]\n[d]\n", `{"a": [2]}`, "a = [2]\n[d]\n"},
		{"the-same-value-keeps-its-spelling", "a = 0x1F\nb = 'c'\nd = 1_0", `{"a": 31, "b": "c", "d": 11}`,
			"a = 0x1F\nb = 'c'\nd = 11"},

		// new keys
		{"key", "a = 1 # c\n\n[b]\n", `{"c": 2}`, "a = 1 # c\nc = 2\n\n[b]\n"},
		{"key-at-the-end", "a = 1", `{"c": 2}`, "a = 1\nc = 2"},
		{"key-in-crlf", "a = 1\r\n[b]\r\n", `{"c": 2}`, "a = 1\r\nc = 2\r\n[b]\r\n"},
		{"key-in-crlf-at-the-end", "a = 1\r\nb = 2", `{"c": 2}`, "a = 1\r\nb = 2\r\nc = 2"},
		{"key-before-the-first-heading", "# Shop.\n\n# First.\n[a]\n", `{"c": 2}`, "# Shop.\n\nc = 2\n# First.\n[a]\n"},
		{"key-below-the-title", "# Shop.\n[a]\n", `{"c": 2}`, "# Shop.\nc = 2\n[a]\n"},
		{"key-of-comments", "# Shop.\n", `{"c": 2}`, "# Shop.\nc = 2\n"},
		{"key-of-an-empty-text", "", `{"c": 2}`, "c = 2\n"},
		{"key-of-a-byte-order-mark", "\ufeff", `{"c": 2}`, "\ufeffc = 2\n"},
		{"key-indented", "[a]\n\tb=1\n", `{"a": {"c": 2}}`, "[a]\n\tb=1\n\tc=2\n"},
		{"key-in-a-column", "[a]\nb    = 1\nlong = 2\n", `{"a": {"c": 2}}`, "[a]\nb    = 1\nlong = 2\nc    = 2\n"},
		{"key-longer-than-the-column", "b  = 1\n", `{"long": 2}`, "b  = 1\nlong = 2\n"},
		{"key-after-a-comment-that-goes-on", "[a]\nb = 1   # one\n        # of two\n# c = 1\n", `{"a": {"d": 2}}`,
			"[a]\nb = 1   # one\n        # of two\nd = 2\n# c = 1\n"},
		{"key-in-an-empty-section", "[a] # c\n\n[b]\n", `{"a": {"c": 2}}`, "[a] # c\nc = 2\n\n[b]\n"},
		{"key-in-an-implied-table", "[a.b]\nc=1\n\n[d]\n", `{"a": {"e": 2}}`, "[a.b]\nc=1\n\n[a]\ne=2\n\n[d]\n"},
		{"key-in-braces", "a = { b = 1 } # c\n", `{"a": {"c": 2}}`, "a = { b = 1, c = 2 } # c\n"},
		{"key-in-narrow-braces", "a={b=1}", `{"a": {"c": {"d": 2}}}`, "a={b=1, c={ d = 2 }}"},
		{"key-in-empty-braces", "a = {}\nb = { }\n", `{"a": {"c": 2, "d": 3}, "b": {"c": 2}}`,
			"a = { c = 2, d = 3 }\nb = { c = 2 }\n"},
		{"key-in-braces-of-many-lines", "a = {\n  b = 1, # c\n  d = 2  # e\n}\n", `{"a": {"f": 2}}`,
			"a = {\n  b = 1, # c\n  f = 2,\n  d = 2  # e\n}\n"},
		{"key-of-a-dotted-table", "a . b.c = 1\nd = 1\n", `{"a": {"b": {"e": 2}, "f": 3}}`,
			"a . b.c = 1\na . b.e = 2\na . f = 3\nd = 1\n"},
		{"key-dotted-in-braces", "a = { b.c = 1 }\n", `{"a": {"b": {"d": 2}}}`, "a = { b.c = 1, b.d = 2 }\n"},
		{"key-dotted-in-a-section", "[a]\nb.c = 1\n[d]\n", `{"a": {"b": {"e": 2}}}`, "[a]\nb.c = 1\nb.e = 2\n[d]\n"},
		{"key-of-a-table-in-several-places", "a.b = 1\n[a.c]\n[a]\nd = 1\n", `{"a": {"e": 1}}`,
			"a.b = 1\n[a.c]\n[a]\nd = 1\ne = 1\n"},
		{"name-with-blanks", "a = 1\n", `{"b c": 2, "": null}`, "a = 1\n\"b c\" = 2\n"},

		// new tables
		{"backend", "a=1\n\n[backends.b1]\nweight = 1\n#port = 1\n\n# Limits.\n[limits]\n",
			`{"backends": {"b2": {"weight": 2, "address": "10.0.0.1"}}}`,
			"a=1\n\n[backends.b1]\nweight = 1\n#port = 1\n\n[backends.b2]\naddress = \"10.0.0.1\"\nweight = 2\n\n" +
				"# Limits.\n[limits]\n"},
		{"backend-without-end-of-line", "[backends.b1]\nweight = 1", `{"backends": {"b2": {"weight": 2}}}`,
			"[backends.b1]\nweight = 1\n\n[backends.b2]\nweight = 2"},
		{"backend-tight", "[backends.b1]\nw=1\n[backends.b2]\nw=2\n[limits]\n", `{"backends": {"b3": {"weight": 2}}}`,
			"[backends.b1]\nw=1\n[backends.b2]\nw=2\n[backends.b3]\nweight=2\n[limits]\n"},
		{"backend-indented", "  [backends.b1]\r\n\tw=1\r\n", `{"backends": {"b3": {"weight": 2}}}`,
			"  [backends.b1]\r\n\tw=1\r\n\r\n  [backends.b3]\r\n\tweight=2\r\n"},
		{"backend-in-braces", "[backends]\nb1 = { weight = 1 }\n", `{"backends": {"b2": {"weight": 2}}}`,
			"[backends]\nb1 = { weight = 1 }\nb2 = { weight = 2 }\n"},
		{"backend-in-nested-braces", "backends = {b1={weight=1}}\n", `{"backends": {"b2": {"weight": 2}}}`,
			"backends = {b1={weight=1}, b2={ weight = 2 }}\n"},
		{"backend-dotted", "backends.b1.weight = 1\nmode = \"dnat\"\n",
			`{"backends": {"b2": {"weight": 2, "port": 3}}}`,
			"backends.b1.weight = 1\nbackends.b2.port = 3\nbackends.b2.weight = 2\nmode = \"dnat\"\n"},
		{"backend-dotted-in-a-section", "[backends]\nb1.weight = 1\n", `{"backends": {"b2": {"weight": 2}}}`,
			"[backends]\nb1.weight = 1\nb2.weight = 2\n"},
		{"first-backend", "mode = \"dnat\"\n", `{"backends": {"b1": {"weight": 2}}}`,
			"mode = \"dnat\"\n\n[backends.b1]\nweight = 2\n"},
		{"table-at-the-end", "[backends.b1]\nweight = 1\n\n# end",
			`{"limits": {"new": {"burst": 1, "rate": "1/second"}}}`,
			"[backends.b1]\nweight = 1\n\n# end\n\n[limits]\nnew = { rate = \"1/second\", burst = 1 }"},
		{"empty-table", "a = 1\n", `{"limits": {}}`, "a = 1\n\n[limits]\n"},
		{"key-and-table", "[backends.b1]\nweight = 1", `{"limits": {"clients": 5}, "backends": {"b1": {"port": 8}}}`,
			"[backends.b1]\nweight = 1\nport = 8\n\n[limits]\nclients = 5"},

		// removals
		{"gone", "a = 1\n# b\nb = 2 # c\n\nc = 3\n", `{"b": null}`, "a = 1\n# b\n\nc = 3\n"},
		{"gone-with-a-comment-that-goes-on", "a = 1 # one\n      # of two\n# b\n", `{"a": null}`, "# b\n"},
		{"gone-at-the-end", "a = 1\nb = 2", `{"b": null}`, "a = 1"},
		{"gone-at-the-end-in-crlf", "a = 1\r\nb = 2", `{"b": null}`, "a = 1"},
		{"all-gone", "\ufeffa = 1\nb = 2", `{"a": null, "b": null}`, "\ufeff"},
		{"long-value-gone", "a = [\n1, # c\n] # d\nb = '''\nc\n'''\nd = 1", `{"a": null, "b": null}`, "d = 1"},
		{"gone-in-braces", "a = { b = 1, c = 2 , d = 3 }\n", `{"a": {"b": null}}`, "a = { c = 2 , d = 3 }\n"},
		{"gone-inside-braces", "a = { b = 1, c = 2 , d = 3 }\n", `{"a": {"c": null}}`, "a = { b = 1, d = 3 }\n"},
		{"last-gone-in-braces", "a = { b = 1, c = 2 , d = 3 }\n", `{"a": {"c": null, "d": null}}`, "a = { b = 1 }\n"},
		{"two-gone-in-braces", "a = { b = 1, c = 2 , d = 3 }\n", `{"a": {"b": null, "d": null}}`, "a = { c = 2  }\n"},
		{"all-gone-in-braces", "a = {b=1,c=2}\n", `{"a": {"b": null, "c": null}}`, "a = {}\n"},
		{"line-gone-in-braces", "a = {\n  b = 1, # ,}\n  c = 2  # c\n}\n", `{"a": {"b": null}}`,
			"a = {\n  c = 2  # c\n}\n"},
		{"last-line-gone-in-braces", "a = {\n  b = 1, # ,}\n  c = 2  # c\n}\n", `{"a": {"c": null}}`,
			"a = {\n  b = 1, # ,}\n}\n"},
		{"backend-gone", "[backends.b1]\na=1\n\n# Two.\n[backends.b2]\na=1 # c\n# d\n\n[backends.b3]\na=1\n",
			`{"backends": {"b2": null}}`, "[backends.b1]\na=1\n\n# Two.\n\n[backends.b3]\na=1\n"},
		{"first-backend-gone", "[backends.b1]\na=1\n\n[backends.b3]\na=1\n", `{"backends": {"b1": null}}`,
			"[backends.b3]\na=1\n"},
		{"last-backend-gone", "[backends.b1]\na=1\n\n[backends.b3]\na=1", `{"backends": {"b3": null}}`,
			"[backends.b1]\na=1"},
		{"no-backend-stays", "a=1\n\n[backends.b1]\na=1\n", `{"backends": {"b1": null}}`, "a=1\n\n[backends]\n"},
		{"tables-gone-with-tables-in-them", "a.b.c = 1\nd = 1\n[a.e]\nf=1\n[g]\n[a.e.h]\ni=1\n[[a.j]]\n[k]\n",
			`{"a": null}`, "d = 1\n[g]\n[k]\n"},
		{"dotted-table-gone", "a.b = 1\nc = 1\na.d.e = 2\n", `{"a": null}`, "c = 1\n"},
		{"last-dotted-key-gone", "a.b.c = 1\nd = 1\n", `{"a": {"b": {"c": null}}}`, "d = 1\na = { b = {} }\n"},
		{"list-of-tables-gone", "[[a]]\nb=1\n[a.c]\n[[a]]\n\n[d]\n", `{"a": null}`, "\n[d]\n"},
		{"absent-gone", "a = 1\n", `{"b": null, "c": {"d": null}}`, "a = 1\nc = {}\n"},
		{"nothing", "a = 1", `{}`, "a = 1"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			patch := decoded(t, test.patch)
			got, faults := Patch([]byte(test.text), patch)
			if len(faults) > 0 || string(got) != test.want {
				t.Errorf("got  %q %v\nwant %q", got, faults, test.want)
			}
		})
	}
}

func decoded(t testing.TB, text string) Document {
	t.Helper()
	document, faults := Decode(strings.NewReader(text))
	if len(faults) > 0 {
		t.Fatalf("%s: %s", text, faults)
	}
	return document
}

// TestMergePatch has the examples of RFC 7396, appendix A.
func TestMergePatch(t *testing.T) {
	for _, test := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		value := func(text string) any { return decoded(t, `{"value":`+text+`}`)["value"] }
		target, patch, want := value(test[0]), value(test[1]), value(test[2])
		if got := mergePatch(target, patch); !reflect.DeepEqual(got, want) {
			t.Errorf("%s patched with %s: got %v, want %s", test[0], test[1], got, test[2])
		}
		if !reflect.DeepEqual(target, value(test[0])) || !reflect.DeepEqual(patch, value(test[1])) {
			t.Errorf("%s or %s changed", test[0], test[1])
		}
		checkPatchOfTOML(t, target, patch, want)
	}
}

// checkPatchOfTOML patches the TOML text of an example that TOML can hold.
func checkPatchOfTOML(t *testing.T, target, patch, want any) {
	t.Helper()
	before, isTable := target.(map[string]any)
	changes, isPatch := patch.(map[string]any)
	if !isTable || !isPatch || len(check(before, false)) > 0 {
		return
	}
	text, faults := Write(before)
	if len(faults) == 0 {
		text, faults = Patch(text, changes)
	}
	got, _ := Read(text)
	if len(faults) > 0 || !reflect.DeepEqual(map[string]any(got), want) {
		t.Errorf("%v patched with %v: got %q %s, want %v", target, patch, text, faults, want)
	}
}

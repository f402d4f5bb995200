package lsp

import (
	"slices"
	"strings"
	"testing"
)

// completed gives the items at the mark of a document, as "label -> text of the document afterwards".
func completed(t *testing.T, e *editor, name, text string) (items []completionItem) {
	t.Helper()
	text, at := marked(t, text)
	e.open(name, text)
	var list completionList
	e.call("textDocument/completion", map[string]any{"textDocument": map[string]any{"uri": e.uri(name)},
		"position": at}, &list)
	return list.Items
}

func labels(items []completionItem) (out []string) {
	for _, i := range items {
		out = append(out, i.Label)
	}
	return out
}

// TestCompletion: the labels at a mark. "+x" must be among them, "-x" must not; without signs they are all labels.
func TestCompletion(t *testing.T) {
	files := map[string]string{"bad.list": "", "office.list": "", "web.toml": web}
	for _, test := range []struct{ rule, text, want string }{
		{"keys of a farm", "|", "+mode +listen +scheduler +source-address -hairpin -panic +[limits] +[backends.b1]"},
		{"keys of a mode", "mode = \"dnat\"\n|", "+hairpin -source-address -mode +listen -sources"},
		{"a mode below", "|\nmode = \"local\"", "+sources -scheduler -[backends.b1] -[persistence] +[limits]"},
		{"a mode that is half written", "mode = \"d\nhai|", "hairpin"},
		{"a word", "mod|", "mode"},
		{"in another case", "MOD|", "mode"},
		{"keys that are there", "listen = \"192.0.2.1:80\"\nlis|", ""},
		{"the key at the mark", "lis|ten = 1", "listen"},
		{"a table", "lim|", "[limits]"},
		{"keys of a table", "[limits]\n|", "+new +ban +verdict -allow -mode +[access] -[limits]"},
		{"keys of a table in a mode", "mode = \"dsr\"\n[limits]\nnew|", ""},
		{"keys of a limit", "[limits]\nnew = { |", "rate burst"},
		{"keys in braces", "limits = { ba|", "ban"},
		{"keys behind a dot", "limits.b|", "ban"},
		{"tables in a dotted key", "pers|", "[persistence]"},
		{"keys of a backend", "[backends.b1]\n|", "+address +weight +connections -mac -listen +[backends.b2]"},
		{"keys of a dsr backend", "mode = \"dsr\"\n[backends.b1]\n|", "+mac +interface -connections -port"},
		{"keys of checks", "[health]\n|", "+type +panic +path"},
		{"keys of a type of check", "[health]\ntype = \"dns\"\n|", "+dns-name -path +panic -type"},
		{"keys of checks of a backend", "[backends.b1.health]\n|", "+type -panic"},
		{"no keys of a table of texts", "[annotations]\n|", "-mode -new +[limits]"},
		{"headings", "[|", "+limits +access +backends -mode"},
		{"a heading that is there", "[limits]\n[li|", ""},
		{"backends", "[backends.b1]\n[backends.|", "b2 b1"},
		{"health of a backend", "[backends.b1]\n[backends.b1.|", "health"},
		{"modes", "mode = |", "snat dnat dsr stateless local"},
		{"modes in quotes", "mode = \"d|", "dnat dsr"},
		{"flags", "take-over = |", "true false"},
		{"lists of words", "hash-on = [\"source-address\", \"source-|", "source-address source-port source-mac"},
		{"occasions", "[log]\non = [|", "input forward output denied limited"},
		{"persistence", "[persistence]\non = \"d|",
			"destination-address destination-port destination-mac"},
		{"states of a backend", "[backends.b1]\nstate = |", "up drain down"},
		{"types of checks", "[health]\ntype = \"http|", "http https"},
		{"lists beside the farm", "[access]\ndeny = [\"@|", "@bad @office"},
		{"clients", "[access]\ndeny = \"a|", "any"},
		{"backends of sessions", "[persistence]\nstatic = { \"198.51.100.7\" = \"|\" }\n[backends.b1]\n[backends.x]\n",
			"b1 x"},
		{"examples", "[limits]\nban = |", "\"2m\""},
		{"examples of limits", "[limits]\nnew = |", `{ rate = "2000/second", burst = 500 }`},
		{"bounds", "[backends.b1]\nweight = |", "1 5"},
		{"no value of an unknown key", "nonsense = |", ""},
		{"nothing in a comment", "# mo|", ""},
		{"nothing behind a value", "mode = \"dnat\" |", ""},
		{"after a broken line", "nonsense here\n[limits]\nstrict|", "strict-tcp"},
		{"after an open text", "listen = \"192\nmode = \"dn|", "dnat"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			e := newEditor(t, files)
			got := labels(completed(t, e, "a.toml", test.text))
			want := strings.Fields(test.want)
			if strings.HasPrefix(test.want, "{") {
				want = []string{test.want}
			}
			if len(want) == 0 || !strings.ContainsAny(want[0][:1], "+-") {
				if !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				return
			}
			for _, w := range want {
				if slices.Contains(got, w[1:]) != (w[0] == '+') {
					t.Errorf("%s: got %q", w, got)
				}
			}
		})
	}
}

// TestCompletionOfOtherFiles: drop-ins and defaults have keys of all modes; lists have none.
func TestCompletionOfOtherFiles(t *testing.T) {
	e := newEditor(t, nil)
	for _, name := range []string{"_defaults.toml", "web.toml.d/50-x.toml"} {
		got := labels(completed(t, e, name, "|"))
		if !slices.Contains(got, "hairpin") || !slices.Contains(got, "source-address") {
			t.Errorf("%s: %q", name, got)
		}
	}
	text := "|"
	text, at := marked(t, text)
	e.open("bad.list", text)
	var list *completionList
	e.call("textDocument/completion", map[string]any{"textDocument": map[string]any{"uri": e.uri("bad.list")},
		"position": at}, &list)
	if list != nil {
		t.Errorf("a list: %+v", list)
	}
}

// TestCompletionEdits: the text after the first item is taken.
func TestCompletionEdits(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"mod|", "mode = "},
		{"# 😀\nmode = \"sn|\"", "# 😀\nmode = \"snat\""},
		{"description = \"😀\"; mode", ""},
		{"mode = |", "mode = \"snat\""},
		{"take-over = t|", "take-over = true"},
		{"lim|", "[limits]\n"},
		{"[acc|]", "[access]"},
		{"[acc|", "[access]"},
		{"[backends.|", "[backends.b1]"},
		{"limits = { ne|", "limits = { new-per-client = "},
	} {
		if !strings.Contains(test.text, "|") {
			continue
		}
		e := newEditor(t, nil)
		items := completed(t, e, "a.toml", test.text)
		if len(items) == 0 {
			t.Errorf("%q: nothing", test.text)
			continue
		}
		d := &document{text: strings.Replace(test.text, "|", "", 1)}
		after, err := d.changed(2, []change{{&items[0].TextEdit.Range, items[0].TextEdit.NewText}})
		if err != nil || after.text != test.want {
			t.Errorf("%q: %q, want %q", test.text, after.text, test.want)
		}
	}
}

// TestHover: the meaning of the key at a mark, in blocks of code if the editor takes markdown.
func TestHover(t *testing.T) {
	e := newEditor(t, nil)
	for _, test := range []struct{ text, want string }{
		{"mo|de = \"dnat\"", "**mode**\n\n```text\ntype: snat | dnat | dsr | stateless | local\nexample: \"dnat\"\n" +
			"default: snat\n\nsnat       rewrites destination and source"},
		{"mode = \"d|nat\"", "**mode**"},
		{"[lim|its]", "**limits**\n\n```text\ntype: table\n\nUpper bounds"},
		{"[limits]\nnew = { rate = \"1|/s\" }", "**limits.new.rate**\n\n```text\ntype: limit"},
		{"[backends.b|1]", "**backends.b1**"},
		{"[backends.b1]\nmac = |\"x\"", "**backends.b1.mac**\n\n```text\ntype: text\nexample: \"02:00:00:00:00:01\"\n" +
			"default: as the kernel finds it\nmodes: dsr\n\n"},
		{"[backends.b1.health]\nrise| = 2", "**backends.b1.health.rise**"},
		{"health.dns-name| = 2", "checks: dns"},
		{"[backends.\"`x`\"]\nweight| = 1", "**backends.?x?.weight**"},
		{"nonsense| = 1", ""},
		{"| # x", ""},
	} {
		text, at := marked(t, test.text)
		e.open("a.toml", text)
		var got *hoverResult
		e.call("textDocument/hover", map[string]any{"textDocument": map[string]any{"uri": e.uri("a.toml")},
			"position": at}, &got)
		if test.want == "" && got == nil {
			continue
		}
		if got == nil || test.want == "" || got.Contents.Kind != "markdown" ||
			!strings.Contains(got.Contents.Value, test.want) {
			t.Errorf("%q: %+v, want %q", test.text, got, test.want)
		}
	}
}

// TestPlainHover: an editor without markdown gets plain text.
func TestPlainHover(t *testing.T) {
	e := unready(t, nil)
	e.call("initialize", map[string]any{"capabilities": map[string]any{}}, &initializeResult{})
	e.open("a.toml", "mode = 1")
	var got hoverResult
	e.call("textDocument/hover", map[string]any{"textDocument": map[string]any{"uri": e.uri("a.toml")},
		"position": position{}}, &got)
	if got.Contents.Kind != "plaintext" || !strings.HasPrefix(got.Contents.Value, "mode\ntype: snat | dnat") ||
		got.Range != span2(0, 0, 0, 4) {
		t.Errorf("%+v", got)
	}
}

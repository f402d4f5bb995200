package reload

import (
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/ruleset"
)

// An inventory is the objects of farmc's tables that a script leaves in the kernel.
type inventory map[ruleset.TableFamily]*tableInventory

// A tableInventory is the objects of one table.
type tableInventory struct {
	objects []*scriptObject
	known   map[string]*scriptObject // by their IDs
}

// A scriptObject is an object of a script, or one that the kernel holds.
type scriptObject struct {
	ruleset.ObjectText
	unknown bool // the kernel holds it, but its content is not known
}

// inventoryOf gives the objects of a script. A script that was kept as text is parsed.
func inventoryOf(s *ruleset.Script) (inventory, error) {
	written := s.Objects()
	if written == nil {
		return readInventory(ruleset.Shared(s.Text))
	}
	out := inventory{}
	for family, objects := range written {
		out[family] = &tableInventory{known: map[string]*scriptObject{}}
		for _, o := range objects {
			out[family].add(&scriptObject{ObjectText: *o})
		}
	}
	return out, nil
}

// readInventory reads a script that farmc wrote, now or earlier. Its lines are of few forms, which templates keep to.
func readInventory(text string) (inventory, error) {
	r := inventoryReader{inventory: inventory{}, rest: text}
	for r.rest != "" {
		if err := r.read(r.line()); err != nil {
			return nil, fmt.Errorf("line %d: %w", r.number, err)
		}
	}
	if r.table != nil {
		return nil, fmt.Errorf("line %d: the script ends within a table", r.number)
	}
	return r.inventory, nil
}

// An inventoryReader reads line by line, and knows the current table and object.
type inventoryReader struct {
	inventory inventory
	rest      string
	number    int // of the line that was read last
	table     *tableInventory
	object    *scriptObject
}

func (r *inventoryReader) line() string {
	line, rest, _ := strings.Cut(r.rest, "\n")
	r.rest = rest
	r.number++
	return line
}

func (r *inventoryReader) read(line string) error {
	switch {
	case r.object != nil:
		return r.readLine(line)
	case r.table != nil:
		return r.readHead(line)
	}
	return r.readTop(line)
}

func (r *inventoryReader) readTop(line string) error {
	name, ok := between(line, "table ", " farmc {")
	if family := ruleset.TableFamily(name); ok && slices.Contains(ruleset.TableFamilies, family) {
		if r.inventory[family] == nil {
			r.inventory[family] = &tableInventory{known: map[string]*scriptObject{}}
		}
		r.table = r.inventory[family]
		return nil
	}
	words := strings.TrimPrefix(line, "delete ")
	if line == "" || strings.HasPrefix(line, "#") || words == "table inet farmc" || words == "table netdev farmc" {
		return nil
	}
	return errUnreadable(line)
}

func (r *inventoryReader) readHead(line string) error {
	head, ok := between(line, "\t", " {")
	at := strings.LastIndexByte(head, ' ')
	switch {
	case line == "}":
		r.table = nil
	case line == "" || strings.HasPrefix(line, "\t# "):
	case !ok || at < 0 || head[0] == '\t':
		return errUnreadable(line)
	default:
		text := ruleset.ObjectText{Kind: ruleset.Kind(head[:at]), Name: head[at+1:], Line: r.number}
		r.object = &scriptObject{ObjectText: text}
		return r.table.add(r.object)
	}
	return nil
}

func (r *inventoryReader) readLine(line string) error {
	text, ok := strings.CutPrefix(line, "\t\t")
	switch {
	case line == "\t}":
		r.object = nil
	case !ok || text == "" || text[0] == '\t' || text[0] == '}':
		return errUnreadable(line)
	case text == "elements = {" && r.object.isSet():
		return r.readBlock()
	default:
		r.object.ObjectText.AddLine(ruleset.ScriptLine{Text: text, Number: r.number})
	}
	return nil
}

// readBlock takes the lines up to the end of the elements.
func (r *inventoryReader) readBlock() error {
	const end = "\t\t}\n"
	at := 0
	if !strings.HasPrefix(r.rest, end) {
		if at = strings.Index(r.rest, "\n"+end) + 1; at == 0 {
			return fmt.Errorf("the elements have no end")
		}
	}
	r.object.Block, r.object.BlockLine = r.rest[:at], r.number+1
	r.number += strings.Count(r.object.Block, "\n") + 1
	r.rest = r.rest[at+len(end):]
	return nil
}

func errUnreadable(line string) error { return fmt.Errorf("%q is no line of farmc's", line) }

// between gives the text between a beginning and an end.
func between(text, beginning, end string) (string, bool) {
	text, begins := strings.CutPrefix(text, beginning)
	text, ends := strings.CutSuffix(text, end)
	return text, begins && ends
}

func (t *tableInventory) add(o *scriptObject) error {
	if t.known[o.id()] != nil {
		return fmt.Errorf("a second %s %s", o.Kind, o.Name)
	}
	t.known[o.id()] = o
	t.objects = append(t.objects, o)
	return nil
}

// elements are all elements of a set.
func (o *scriptObject) elements() []ruleset.ScriptLine { return o.elementsWithin(0, len(o.Block)) }

// size is how many elements there are.
func (o *scriptObject) size() int { return strings.Count(o.Block, ",\n") }

// elementsWithin are the elements in a part of the block, which begins and ends with a line.
func (o *scriptObject) elementsWithin(from, to int) []ruleset.ScriptLine {
	part := o.Block[from:to]
	farm := o.farmAt(from)
	number := o.BlockLine + strings.Count(o.Block[:from], "\n")
	var out []ruleset.ScriptLine
	for line := range strings.Lines(part) {
		if name, named := between(line, ruleset.FarmComment, "\n"); named {
			farm = name
		} else {
			text, _ := between(line, "\t\t\t", ",\n")
			out = append(out, ruleset.ScriptLine{Text: text, Farm: farm, Number: number})
		}
		number++
	}
	return out
}

// farmAt is the farm of the elements at an offset. Blocks of megabytes have no comments at all, which a look for one
// byte finds out 20 times faster than a search backwards for the whole comment.
func (o *scriptObject) farmAt(at int) string {
	if strings.IndexByte(o.Block[:at], '#') < 0 {
		return ""
	}
	_, name, ok := cutLast(o.Block[:at], ruleset.FarmComment)
	if !ok {
		return ""
	}
	name, _, _ = strings.Cut(name, "\n")
	return name
}

func cutLast(text, by string) (before, after string, found bool) {
	at := strings.LastIndex(text, by)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(by):], true
}

// elementsOf are the elements that stand under the name of a farm.
func (o *scriptObject) elementsOf(farm string) (out []ruleset.ScriptLine) {
	comment := ruleset.FarmComment + farm + "\n"
	for from := 0; ; {
		at := strings.Index(o.Block[from:], comment)
		if at < 0 {
			return out
		}
		from += at
		to := len(o.Block)
		if next := strings.Index(o.Block[from+len(comment):], ruleset.FarmComment); next >= 0 {
			to = from + len(comment) + next
		}
		out = append(out, o.elementsWithin(from, to)...)
		from = to
	}
}

// id is unique in a table: sets and maps can't share a name.
func (o *scriptObject) id() string {
	if o.isSet() {
		return "set " + o.Name
	}
	return string(o.Kind) + " " + o.Name
}

func (o *scriptObject) isSet() bool { return o.Kind == ruleset.KindMap || o.Kind == ruleset.KindSet }

// property says whether a line of the declaration begins with the word, and gives the line.
func (o *scriptObject) property(word string) (string, bool) {
	for _, l := range o.About {
		if l.Text == word || strings.HasPrefix(l.Text, word+" ") {
			return l.Text, true
		}
	}
	return "", false
}

func (o *scriptObject) hasFlag(flag string) bool {
	flags, _ := o.property("flags")
	return strings.Contains(flags, flag)
}

// isDynamic reports whether packets fill the set: its elements then are in no script.
func (o *scriptObject) isDynamic() bool { return o.isSet() && o.hasFlag("dynamic") }

// hasCounters says whether its elements count packets.
func (o *scriptObject) hasCounters() bool {
	_, ok := o.property("counter")
	return ok && o.isSet()
}

// takesNoRule reports whether no rule can be added that asks the object, once it is loaded: nft 1.0.6 reads the
// declaration back from the kernel, and then takes "th dport" for a contradiction to "meta l4proto tcp" of the rule.
func (o *scriptObject) takesNoRule() bool {
	declared, _ := o.property("typeof")
	return strings.Contains(declared, " th ") || strings.HasPrefix(declared, "typeof th ")
}

// isTree says whether it is a tree of intervals, all of which nft 1.0.6 reads before it adds or deletes any element
// of any set, unless they come in a table's block.
func (o *scriptObject) isTree() bool {
	keys, _ := o.declared()
	return o.isSet() && o.hasFlag("interval") && !strings.Contains(keys, " . ")
}

// elementKey is the key of an element, without its value, timeout and counter.
func elementKey(e ruleset.ScriptLine) string {
	end := 0
	for end < len(e.Text) {
		word := strings.IndexByte(e.Text[end:], ' ')
		if word < 0 {
			return e.Text
		}
		end += word
		if !strings.HasPrefix(e.Text[end:], " . ") && !strings.HasPrefix(e.Text[end:], " | ") {
			return e.Text[:end]
		}
		end += len(" . ")
	}
	return e.Text
}

// elementComment is the comment of an element of a set.
func elementComment(e ruleset.ScriptLine) (string, bool) {
	_, comment, ok := strings.Cut(e.Text, ` comment "`)
	comment, ends := strings.CutSuffix(comment, `"`)
	return comment, ok && ends
}

// elementValue is the value of an element of a map; "" in a set.
func elementValue(e ruleset.ScriptLine) string {
	_, value, _ := strings.Cut(e.Text, " : ")
	return value
}

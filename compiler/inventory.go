package compiler

import (
	"fmt"
	"slices"
	"strings"
)

// An inventory is what a script leaves in the kernel: the objects of our tables, by the family of the table.
type inventory map[string]*tableInventory

// tableFamilies are the families of our tables, in the order in which scripts have them.
var tableFamilies = []string{"inet", "netdev"}

// A tableInventory is one table's.
type tableInventory struct {
	objects []*object
	known   map[string]*object // by what nothing else in the table is called
}

// An object is a set, map, chain, flow table or connection tracking helper. Lines are without their tabs.
type object struct {
	Kind, Name string
	line       int // of the script, where it begins
	about      []scriptLine
	block      string // the lines of its elements, as they are: of many, few are ever looked at
	blockLine  int    // of the script, where the block begins
	rules      []scriptLine
	unknown    bool // it is there, but what it holds isn't known
}

// A scriptLine is a line within an object, and its number in the script. Of an element, it lacks the comma.
type scriptLine struct {
	text   string
	farm   string // of an element, the farm that the comment above names
	number int
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

// An inventoryReader reads line by line, and knows what it is in.
type inventoryReader struct {
	inventory inventory
	rest      string
	number    int // of the line that was read last
	table     *tableInventory
	object    *object
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
	if family, ok := between(line, "table ", " farmc {"); ok && slices.Contains(tableFamilies, family) {
		if r.inventory[family] == nil {
			r.inventory[family] = &tableInventory{known: map[string]*object{}}
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
		r.object = &object{Kind: head[:at], Name: head[at+1:], line: r.number}
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
	case strings.HasPrefix(text, "# "):
	case r.object.Kind != "chain" || strings.HasPrefix(text, "type "):
		r.object.about = append(r.object.about, scriptLine{text: text, number: r.number})
	default:
		r.object.rules = append(r.object.rules, scriptLine{text: text, number: r.number})
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
	r.object.block, r.object.blockLine = r.rest[:at], r.number+1
	r.number += strings.Count(r.object.block, "\n") + 1
	r.rest = r.rest[at+len(end):]
	return nil
}

func errUnreadable(line string) error { return fmt.Errorf("%q is no line of farmc's", line) }

// between gives what stands between a beginning and an end.
func between(text, beginning, end string) (string, bool) {
	text, begins := strings.CutPrefix(text, beginning)
	text, ends := strings.CutSuffix(text, end)
	return text, begins && ends
}

func (t *tableInventory) add(o *object) error {
	if t.known[o.id()] != nil {
		return fmt.Errorf("a second %s %s", o.Kind, o.Name)
	}
	t.known[o.id()] = o
	t.objects = append(t.objects, o)
	return nil
}

// elements are all elements of a set.
func (o *object) elements() []scriptLine { return o.elementsWithin(0, len(o.block)) }

// size is how many elements there are.
func (o *object) size() int { return strings.Count(o.block, ",\n") }

const farmMark = "\t\t\t# " // above the elements of a farm

// elementsWithin are the elements in a part of the block, which begins and ends with a line.
func (o *object) elementsWithin(from, to int) []scriptLine {
	part := o.block[from:to]
	farm := o.farmAt(from)
	number := o.blockLine + strings.Count(o.block[:from], "\n")
	var out []scriptLine
	for line := range strings.Lines(part) {
		if name, named := between(line, farmMark, "\n"); named {
			farm = name
		} else {
			text, _ := between(line, "\t\t\t", ",\n")
			out = append(out, scriptLine{text: text, farm: farm, number: number})
		}
		number++
	}
	return out
}

// farmAt is the farm whose elements go on there.
func (o *object) farmAt(at int) string {
	_, name, ok := cutLast(o.block[:at], farmMark)
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
func (o *object) elementsOf(farm string) (out []scriptLine) {
	mark := farmMark + farm + "\n"
	for from := 0; ; {
		at := strings.Index(o.block[from:], mark)
		if at < 0 {
			return out
		}
		from += at
		to := len(o.block)
		if next := strings.Index(o.block[from+len(mark):], farmMark); next >= 0 {
			to = from + len(mark) + next
		}
		out = append(out, o.elementsWithin(from, to)...)
		from = to
	}
}

// id is unique in a table: sets and maps can't share a name.
func (o *object) id() string {
	if o.isSet() {
		return "set " + o.Name
	}
	return o.Kind + " " + o.Name
}

func (o *object) isSet() bool { return o.Kind == "map" || o.Kind == "set" }

// has says whether a line of the declaration begins with the word, and gives the line.
func (o *object) has(word string) (string, bool) {
	for _, l := range o.about {
		if l.text == word || strings.HasPrefix(l.text, word+" ") {
			return l.text, true
		}
	}
	return "", false
}

func (o *object) flagged(flag string) bool {
	flags, _ := o.has("flags")
	return strings.Contains(flags, flag)
}

// remembers says whether packets fill it: what it holds then is not in any script.
func (o *object) remembers() bool { return o.isSet() && o.flagged("dynamic") }

// counts says whether its elements count packets.
func (o *object) counts() bool {
	_, ok := o.has("counter")
	return ok && o.isSet()
}

// bound says whether no rule can be added that asks it, once it is loaded: nft 1.0.6 reads the declaration back from the
// kernel, and then takes "th dport" for a contradiction to "meta l4proto tcp" of the rule.
func (o *object) bound() bool {
	declared, _ := o.has("typeof")
	return strings.Contains(declared, " th ") || strings.HasPrefix(declared, "typeof th ")
}

// isTree says whether it is a tree of intervals, all of which nft 1.0.6 reads before it adds or deletes any element
// of any set, unless they come in a table's block.
func (o *object) isTree() bool {
	keys, _ := o.declared()
	return o.isSet() && o.flagged("interval") && !strings.Contains(keys, " . ")
}

// key is the part of an element that it is found by.
func (e scriptLine) key() string {
	end := 0
	for end < len(e.text) {
		word := strings.IndexByte(e.text[end:], ' ')
		if word < 0 {
			return e.text
		}
		end += word
		if !strings.HasPrefix(e.text[end:], " . ") && !strings.HasPrefix(e.text[end:], " | ") {
			return e.text[:end]
		}
		end += len(" . ")
	}
	return e.text
}

// value is what an element of a map leads to; "" in a set.
func (e scriptLine) value() string {
	_, value, _ := strings.Cut(e.text, " : ")
	return value
}

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
	elements   []scriptLine
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
	r := inventoryReader{inventory: inventory{}}
	for line := range strings.Lines(text) {
		r.number++
		if err := r.read(strings.TrimSuffix(line, "\n")); err != nil {
			return nil, fmt.Errorf("line %d: %w", r.number, err)
		}
	}
	if r.table != nil {
		return nil, fmt.Errorf("line %d: the script ends within a table", r.number)
	}
	return r.inventory, nil
}

// A inventoryReader reads line by line, and knows what it is in.
type inventoryReader struct {
	inventory inventory
	number    int
	table     *tableInventory
	object    *object
	elements  bool
	farm      string
}

func (r *inventoryReader) read(line string) error {
	switch {
	case r.elements:
		return r.readElement(line)
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
		r.elements, r.farm = true, ""
	case strings.HasPrefix(text, "# "):
	case r.object.Kind != "chain" || strings.HasPrefix(text, "type "):
		r.object.about = append(r.object.about, scriptLine{text: text, number: r.number})
	default:
		r.object.rules = append(r.object.rules, scriptLine{text: text, number: r.number})
	}
	return nil
}

func (r *inventoryReader) readElement(line string) error {
	if line == "\t\t}" {
		r.elements = false
		return nil
	}
	text, ok := strings.CutPrefix(line, "\t\t\t")
	if farm, named := strings.CutPrefix(text, "# "); ok && named {
		r.farm = farm
		return nil
	}
	text, ended := strings.CutSuffix(text, ",")
	if !ok || !ended {
		return errUnreadable(line)
	}
	r.object.elements = append(r.object.elements, scriptLine{text: text, farm: r.farm, number: r.number})
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
		if !strings.HasPrefix(e.text[end:], " . ") {
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

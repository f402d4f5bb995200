package haproxy

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"farmc/compiler/addr"
)

// A condition is a set of clients, or a bound on what each client opens.
type condition struct {
	clients []string // addresses, networks, and lists as "@name"
	others  bool     // all clients but these
	bound   bound    // with clients nil
}

// A bound is a limit of a client: more connections than it meet the condition.
type bound struct {
	connections int           // open or new ones
	period      time.Duration // in which they are opened; 0: open at the same time
}

// condition reads the words after "if" or "unless"; not known are conditions on other things than clients.
func (f *front) condition(words []string) (c condition, known bool) {
	negated := len(words) > 0 && words[0] == "unless"
	for _, term := range alternatives(words[min(1, len(words)):]) {
		not, words := negation(term)
		one, known := f.term(words)
		if !known || c.bound != (bound{}) || c.clients != nil && (not || one.clients == nil) || c.others {
			return c, false
		}
		c.clients, c.bound, c.others = append(c.clients, one.clients...), one.bound, not
	}
	c.others = c.others != negated
	return c, c.clients != nil || c.bound != (bound{}) && !c.others
}

// alternatives divides a condition at "or". Terms that stand beside one another, which must all hold, stay one term.
func alternatives(words []string) (terms [][]string) {
	var term []string
	for _, word := range words {
		if word == "or" || word == "||" {
			terms, term = append(terms, term), nil
			continue
		}
		term = append(term, word)
	}
	return append(terms, term)
}

// negation takes the exclamation marks off a term.
func negation(term []string) (not bool, rest []string) {
	for len(term) > 0 && strings.HasPrefix(term[0], "!") {
		not = !not
		if term = append([]string{term[0][1:]}, term[1:]...); term[0] == "" {
			term = term[1:]
		}
	}
	return not, term
}

// term reads the name of an ACL, or a test in braces.
func (f *front) term(words []string) (c condition, known bool) {
	n := len(words)
	switch {
	case n > 2 && words[0] == "{" && words[n-1] == "}":
		return f.test(words[1 : n-1])
	case n != 1:
		return c, false
	case words[0] == "LOCALHOST":
		return condition{clients: []string{"127.0.0.0/8", "::1"}}, true
	}
	for _, d := range f.of.all() {
		if d.word(0) != "acl" || d.word(1) != words[0] {
			continue
		}
		one, has := f.test(d.words[2:])
		if !has || known && (one.clients == nil || c.clients == nil) {
			return c, false
		}
		c, known = condition{clients: append(c.clients, one.clients...), bound: one.bound}, true
	}
	return c, known
}

// test reads a test: a name such as src or src_conn_rate, and values.
func (f *front) test(words []string) (c condition, known bool) {
	if len(words) < 2 {
		return c, false
	}
	name, table, _ := strings.Cut(strings.TrimSuffix(words[0], ")"), "(")
	switch name {
	case "src":
		c.clients, known = f.clientsOf(words[1:])
	case "src_conn_cur", "sc0_conn_cur", "sc1_conn_cur", "sc2_conn_cur":
		c.bound.connections, known = number(words[1:])
	case "src_conn_rate", "sc0_conn_rate", "sc1_conn_rate", "sc2_conn_rate":
		c.bound.connections, known = number(words[1:])
		c.bound.period = f.period(table)
		known = known && c.bound.period > 0
	}
	return c, known
}

// clientsOf reads the addresses and networks of src, and files with them.
func (f *front) clientsOf(words []string) (clients []string, known bool) {
	for i := 0; i < len(words); i++ {
		switch word := words[i]; {
		case word == "-i" || word == "-n" || word == "--":
		case word == "-m" && i+1 < len(words) && words[i+1] == "ip", word == "-u":
			i++
		case word == "-f" && i+1 < len(words):
			i++
			list := f.list(words[i])
			if list == "" {
				return nil, false
			}
			clients = append(clients, list)
		default:
			if _, err := addr.ParseNetwork(word); err != nil {
				return nil, false
			}
			clients = append(clients, word)
		}
	}
	return clients, len(clients) > 0
}

// list makes a list of a file with an address or network on each line, and gives its name with "@"; "" if the file
// cannot be read or has other lines. Lists that HAProxy fills at run time (virt@) have no file.
func (c *configuration) list(path string) string {
	if strings.HasPrefix(path, "virt@") {
		return ""
	}
	for _, prefix := range []string{"file@", "opt@"} {
		path = strings.TrimPrefix(path, prefix)
	}
	if name, done := c.lists[path]; done {
		return name
	}
	c.lists[path] = ""
	if c.files == nil {
		return ""
	}
	text, err := c.files.Read(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if _, err := addr.ParseNetwork(line); err != nil && line != "" && !strings.HasPrefix(line, "#") {
			return ""
		}
	}
	base := filepath.Base(path)
	c.lists[path] = "@" + c.NewList(strings.TrimSuffix(base, filepath.Ext(base)), text)
	return c.lists[path]
}

// number reads "gt N" or "ge N": the largest number that does not meet it, which is at least 1.
func number(words []string) (n int, known bool) {
	if len(words) != 2 {
		return 0, false
	}
	value, err := strconv.ParseUint(words[1], 10, 31)
	n = int(value)
	if words[0] == "ge" {
		n--
	}
	return n, err == nil && n > 0 && (words[0] == "gt" || words[0] == "ge")
}

// period gives the time in which a table counts new connections; 0 if it does not.
func (f *front) period(table string) time.Duration {
	_, text, _ := strings.Cut(f.tableOf(table).option("store"), "conn_rate(")
	text, _, _ = strings.Cut(text, ")")
	t, err := readTime(text)
	if err != nil {
		return 0
	}
	return t
}

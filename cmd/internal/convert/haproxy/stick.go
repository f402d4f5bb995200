package haproxy

import (
	"time"

	"farmc/cmd/internal/convert"
)

// A sticking is the rules of a proxy that look clients up in a table, and store them there.
type sticking struct {
	first         directive // zero: no rule
	table         string    // the section with the table
	match, stores bool
}

// option gives the word after another one; "" if there is none.
func (d directive) option(name string) string {
	for i, word := range d.words {
		if word == name {
			return d.word(i + 1)
		}
	}
	return ""
}

// stick reads stick on, match and store-request.
func (f *front) stick(d directive) {
	action := d.word(1)
	if d.word(2) != "src" || action != "on" && action != "match" && action != "store-request" {
		f.Lose(d.at, "farmc remembers clients by their address alone", "use stick on src")
		return
	}
	table := d.option("table")
	if table == "" {
		table = f.of.name
	}
	switch {
	case f.sticks.first.words == nil:
		f.sticks.first, f.sticks.table = d, table
	case f.sticks.table != table:
		f.Lose(d.at, "a farm has one table of clients", "the farm has that of the rule before")
		return
	}
	f.sticks.match = f.sticks.match || action != "store-request"
	f.sticks.stores = f.sticks.stores || action != "match"
	if d.option("if")+d.option("unless") != "" {
		f.Lose(d.at, "farmc remembers all clients", "leave the condition out")
	}
}

// tableOf gives the line that declares a table; without words if there is none.
func (f *front) tableOf(name string) directive {
	if name == "" {
		name = f.of.name
	}
	return f.tables[name]
}

// writePersistence writes the persistence of the rules. Farms that use one table are a group.
func (f *front) writePersistence() {
	s := &f.sticks
	if s.first.words == nil {
		return
	}
	f.farm.Set(s.first.at, []string{"source-address"}, "persistence", "on")
	f.writeTimeout(f.tableOf(s.table))
	if f.users[s.table] > 1 {
		f.farm.Set(s.first.at, convert.LegalName(s.table, "table"), "persistence", "group")
	}
	if !s.match || !s.stores {
		f.Note(s.first.at, "the rules do not both look clients up and store them", "farmc does both")
	}
}

// writeTimeout writes the time of a table of addresses.
func (f *front) writeTimeout(table directive) {
	if kind := table.option("type"); table.words != nil && kind != "ip" && kind != "ipv6" {
		f.Lose(table.at, "the table has other keys than addresses", "use type ip")
	}
	if table.option("peers") != "" {
		f.Lose(table.at, "farmc has no peers with a table in common", "use maglev or hash, which need none")
	}
	t, err := readTime(table.option("expire"))
	if table.option("expire") != "" && err != nil {
		f.Lose(table.at, "expire is not a time", "write a number with a unit, as in 30s; the farm has 24h")
		f.farm.Set(table.at, "24h", "persistence", "timeout")
		return
	}
	if err != nil || t == 0 {
		f.farm.Set(f.sticks.first.at, "24h", "persistence", "timeout")
		f.Note(f.sticks.first.at, "a table without expire remembers clients until it is full", "the farm has 24h")
		return
	}
	text := within(timer{table.at, t}, time.Second, 365*24*time.Hour, f.Lose)
	f.farm.Set(table.at, text, "persistence", "timeout")
}

package toml

import burntsushi "github.com/BurntSushi/toml"

// TableHeading writes the line that begins a table. Names with dots stand in quotes.
func TableHeading(path ...string) string { return "[" + burntsushi.Key(path).String() + "]" }

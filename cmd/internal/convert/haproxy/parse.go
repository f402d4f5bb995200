// Package haproxy reads the proxies of haproxy.cfg that have mode tcp.
//
// It knows the format and its defaults. A proxy in mode http is a loss: farmc balances connections, not requests.
//
// parse.go makes sections of the text. import.go finds the frontends and their backends; proxy.go reads the directives
// of a proxy, bind.go addresses, server.go servers with their options; access.go has the rules about clients, with
// their conditions in condition.go; stick.go tables of clients; check.go health checks, with tcpcheck.go for tcp-check.
package haproxy

import (
	"slices"
	"strings"

	"farmc/cmd/internal/convert"
)

// A directive is a line of a section.
type directive struct {
	at       convert.Place
	words    []string // at least one
	variable bool     // a word in double quotes names a variable of the environment
}

// word gives the nth word; "" if there are fewer.
func (d directive) word(n int) string {
	if n < len(d.words) {
		return d.words[n]
	}
	return ""
}

// A section begins with its kind and name.
type section struct {
	directive
	within []directive
	from   *section // the defaults that it takes settings from; nil: none
}

// all gives the directives of a section after those of its defaults, and these after those of their own defaults. Later
// directives override earlier ones.
func (s *section) all() (all []directive) {
	var chain []*section
	for ; s != nil; s = s.from {
		chain = append(chain, s)
	}
	for _, of := range slices.Backward(chain) {
		all = append(all, of.within...)
	}
	return all
}

// isSection are the words that begin a section.
var isSection = convert.Words(`global defaults frontend backend listen userlist peers resolvers mailers cache program
	ring http-errors log-forward fcgi-app crt-store traces acme`)

// parse reads the sections.
func parse(r *convert.Result, in convert.Input) []*section {
	var sections []*section
	for _, at := range in.Lines() {
		words, variable := tokens(at.Text)
		switch {
		case len(words) == 0:
		case strings.HasPrefix(words[0], "."):
			r.Lose(at, "the condition "+words[0]+" is not evaluated, so the lines that it guards are imported",
				"write a configuration without conditions")
		case isSection[words[0]]:
			sections = append(sections, &section{directive: directive{at, words, variable}})
		case len(sections) == 0:
			r.Lose(at, "a directive before the first section", "move it into a section")
		default:
			last := sections[len(sections)-1]
			last.within = append(last.within, directive{at, words, variable})
		}
	}
	return sections
}

// tokens divides a line into words. Quotes and backslashes protect characters, # begins a comment. HAProxy replaces
// variables in double quotes alone.
func tokens(line string) (out []string, variable bool) {
	var word strings.Builder
	within, quote := false, byte(0)
	flush := func() {
		if within {
			out = append(out, word.String())
		}
		word.Reset()
		within = false
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			word.WriteByte(unescaped(line[i]))
			within = true
		case quote != 0:
			variable = variable || c == '$' && quote == '"'
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, within = c, true
		case c == '#':
			flush()
			return out, variable
		case c == ' ' || c == '\t' || c == '\r':
			flush()
		default:
			word.WriteByte(c)
			within = true
		}
	}
	flush()
	return out, variable
}

// unescaped gives the character of an escape.
func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

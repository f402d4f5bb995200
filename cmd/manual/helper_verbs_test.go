package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Verb is a command of farmc, as its help tells it.
type Verb struct {
	Name, Args     string
	Summary, About string
	Options        []Option
	Own            []Option // options that some verbs lack
}

// An Option is a flag as it is written, with its effect.
type Option struct{ Flag, Text string }

var (
	verbLine   = regexp.MustCompile(`(?m)^  farmc ([a-z-]+)(?: (.*?))?  +\S`)
	optionLine = regexp.MustCompile(`^ {2,6}((?:-[a-z], )?--[a-z-]+(?:\[=\S+\]| \S+)?) {2,}(\S.*)$`)
)

// readVerbs asks for all commands, and then for each.
func readVerbs(help func(args ...string) (string, error)) ([]Verb, error) {
	usage, err := help()
	if err != nil {
		return nil, err
	}
	var verbs []Verb
	for _, at := range verbLine.FindAllStringSubmatch(usage, -1) {
		text, err := help(at[1])
		if err != nil {
			return nil, err
		}
		v, err := readVerb(at[1], at[2], text)
		if err != nil {
			return nil, err
		}
		verbs = append(verbs, v)
	}
	if len(verbs) == 0 {
		return nil, fmt.Errorf("farmc help lists no command")
	}
	for i := range verbs {
		verbs[i].Own = without(verbs[i].Options, common(verbs))
	}
	return verbs, nil
}

func readVerb(name, args, text string) (Verb, error) {
	head, rest, _ := strings.Cut(text, "\n")
	_, summary, ok := strings.Cut(head, ": ")
	if !ok {
		return Verb{}, fmt.Errorf("farmc help %s begins with %q", name, head)
	}
	about, options, _ := strings.Cut(rest, "\nOptions:\n")
	v := Verb{Name: name, Args: args, Summary: summary, About: strings.Trim(about, "\n")}
	for line := range strings.Lines(options) {
		line = strings.TrimSuffix(line, "\n")
		if at := optionLine.FindStringSubmatch(line); at != nil {
			flag := strings.TrimSuffix(at[1], "[=true|false]")
			v.Options = append(v.Options, Option{flag, at[2]})
		} else if n := len(v.Options); n > 0 && strings.HasPrefix(line, "       ") {
			v.Options[n-1].Text += "\n" + strings.TrimSpace(line)
		} else {
			return Verb{}, fmt.Errorf("farmc help %s has the option %q", name, line)
		}
	}
	return v, nil
}

// common are the options that every verb about farms has.
func common(verbs []Verb) []Option {
	var out []Option
	first := true
	for _, v := range verbs {
		switch {
		case !v.takesDirectories():
		case first:
			out, first = v.Options, false
		default:
			out = slices.DeleteFunc(slices.Clone(out), func(o Option) bool { return !slices.Contains(v.Options, o) })
		}
	}
	return out
}

func (v Verb) takesDirectories() bool {
	return slices.ContainsFunc(v.Options, func(o Option) bool { return strings.HasPrefix(o.Flag, "-d, --dir ") })
}

func without(options, those []Option) []Option {
	return slices.DeleteFunc(slices.Clone(options), func(o Option) bool { return slices.Contains(those, o) })
}

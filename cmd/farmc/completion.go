package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// completionVerb is a function as it leads back to verbs, which a variable's own value can't.
func completionVerb() verb {
	return verb{
		name:    "completion",
		args:    "bash|zsh|fish",
		summary: "print a shell's completion",
		about: `For this session: source <(farmc completion bash). For all:

    farmc completion bash > /usr/share/bash-completion/completions/farmc
    farmc completion zsh  > /usr/share/zsh/vendor-completions/_farmc
    farmc completion fish > /usr/share/fish/vendor_completions.d/farmc.fish`,
		bare: true,
		run:  completion,
	}
}

func completion(_ context.Context, c *call) int {
	shells := map[string]func() string{"bash": bash, "zsh": zsh, "fish": fish}
	if len(c.args) != 1 || shells[c.args[0]] == nil {
		return c.misuse("completion wants the name of a shell: bash, zsh or fish")
	}
	fmt.Fprint(c.stdout, shells[c.args[0]]())
	return done
}

// longFlags gives the long names of a verb's flags, with their dashes.
func (v verb) longFlags() []string {
	var out []string
	v.eachFlag(func(f *pflag.Flag) { out = append(out, "--"+f.Name) })
	return out
}

func (v verb) eachFlag(do func(*pflag.Flag)) { v.flagSet(&call{}).VisitAll(do) }

// words gives what may follow the verb beside its flags.
func (v verb) words() string {
	switch v.name {
	case "help":
		return verbNames()
	case "completion":
		return "bash zsh fish"
	}
	return ""
}

func verbNames() string {
	var out []string
	for _, v := range verbs() {
		out = append(out, v.name)
	}
	return strings.Join(out, " ")
}

func bash() string {
	var cases strings.Builder
	for _, v := range verbs() {
		fmt.Fprintf(&cases, "\t%s) words=%q ;;\n", v.name, strings.TrimSpace(v.words()+" "+strings.Join(v.longFlags(), " ")))
	}
	return `# bash completion for farmc
_farmc() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=""
	case $prev in
	--dir|-d|--state-dir) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--nft|--output|-o) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$cur"); return ;;
	--confirm) mapfile -t COMPREPLY < <(compgen -W "30s 60s 5m" -- "$cur"); return ;;
	esac
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "` + verbNames() + `" -- "$cur")
		return
	fi
	case ${COMP_WORDS[1]} in
` + cases.String() + `	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o filenames -F _farmc farmc
`
}

func zsh() string {
	var verbList, cases strings.Builder
	for _, v := range verbs() {
		fmt.Fprintf(&verbList, "\t\t'%s:%s'\n", v.name, v.summary)
		fmt.Fprintf(&cases, "\t%s) _arguments", v.name)
		v.eachFlag(func(f *pflag.Flag) { fmt.Fprintf(&cases, " '%s'", zshFlag(f)) })
		if words := v.words(); words != "" {
			fmt.Fprintf(&cases, " '*: :(%s)'", words)
		}
		cases.WriteString(" ;;\n")
	}
	return `#compdef farmc
_farmc() {
	local -a commands
	commands=(
` + verbList.String() + `	)
	if (( CURRENT == 2 )); then
		_describe command commands
		return
	fi
	local command=$words[2]
	shift words
	(( CURRENT-- ))
	case $command in
` + cases.String() + `	esac
}
if [ "$funcstack[1]" = _farmc ]; then _farmc "$@"; else compdef _farmc farmc; fi
`
}

func zshFlag(f *pflag.Flag) string {
	_, text := pflag.UnquoteUsage(f)
	text = strings.NewReplacer("'", "", "[", "(", "]", ")", "\n", " ", ":", ",").Replace(text)
	value := map[string]string{"dir": ":directory:_directories", "state-dir": ":directory:_directories", "nft": ":file:_files",
		"output": ":file:_files", "color": ":when:(auto always never)", "confirm": ":time:(30s 60s 5m)"}[f.Name]
	repeat := map[bool]string{true: "*"}[f.Name == "dir"]
	return repeat + "--" + f.Name + "[" + text + "]" + value
}

func fish() string {
	var out strings.Builder
	out.WriteString("# fish completion for farmc\ncomplete -c farmc -f\n")
	for _, v := range verbs() {
		fmt.Fprintf(&out, "complete -c farmc -n __fish_use_subcommand -a %s -d '%s'\n", v.name, v.summary)
		on := fmt.Sprintf("complete -c farmc -n '__fish_seen_subcommand_from %s'", v.name)
		if words := v.words(); words != "" {
			fmt.Fprintf(&out, "%s -a '%s'\n", on, words)
		}
		v.eachFlag(func(f *pflag.Flag) { fmt.Fprintf(&out, "%s %s\n", on, fishFlag(f)) })
	}
	return out.String()
}

func fishFlag(f *pflag.Flag) string {
	value := map[string]string{"dir": " -x -a '(__fish_complete_directories)'", "state-dir": " -x -a '(__fish_complete_directories)'",
		"nft": " -r -F", "output": " -r -F", "color": " -x -a 'auto always never'", "confirm": " -x -a '30s 60s 5m'"}[f.Name]
	_, text := pflag.UnquoteUsage(f)
	return fmt.Sprintf("-l %s%s -d '%s'", f.Name, value, strings.NewReplacer("'", "", "\n", " ").Replace(text))
}

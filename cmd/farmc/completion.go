package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"farmc/compiler/farm"
)

// completionVerb is a function because it calls verbs, which a variable's initial value cannot.
func completionVerb() verb {
	return verb{
		name:    "completion",
		args:    "bash|zsh|fish",
		summary: "print the completion script of a shell",
		about: `Completes commands, options and the names of farms.
For this session: source <(farmc completion bash). For all:

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
		return c.usageError("completion needs a shell: bash, zsh or fish")
	}
	fmt.Fprint(c.stdout, shells[c.args[0]]())
	return exitOK
}

// namesVerb is internal to the completion scripts: it prints the names of the farms. It reads no farm, so it is quick,
// and works in spite of faults.
var namesVerb = verb{
	name: "names",
	run: func(_ context.Context, c *call) int {
		for _, name := range farm.Names(c.farmDirs()) {
			fmt.Fprintln(c.stdout, name)
		}
		return exitOK
	},
}

// longFlags returns the long names of the verb's flags, with dashes.
func (v verb) longFlags() []string {
	var out []string
	v.eachFlag(func(f *pflag.Flag) { out = append(out, "--"+f.Name) })
	return out
}

// eachFlag calls do for each flag that people use.
func (v verb) eachFlag(do func(*pflag.Flag)) {
	v.flagSet(&call{}).VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			do(f)
		}
	})
}

// words returns the fixed arguments of the verb, space-separated.
func (v verb) words() string {
	switch v.name {
	case "help":
		return verbNames()
	case "completion":
		return "bash zsh fish"
	case "import":
		return strings.Join(importNames(), " ")
	case "export":
		return strings.Join((&call{}).exportNames(), " ")
	}
	return ""
}

// takesFarm reports whether the first argument is a farm.
func (v verb) takesFarm() bool { return strings.Contains(v.args, "FARM") && v.words() == "" }

// takesFile reports whether the first argument is a file of a farm.
func (v verb) takesFile() bool { return strings.Contains(v.args, "[FILE") }

// takesAnyFile reports whether the second argument is a file of another program.
func (v verb) takesAnyFile() bool { return strings.HasSuffix(v.args, " FILE|-") }

// takesTime reports whether the third argument is a time.
func (v verb) takesTime() bool { return strings.HasSuffix(v.args, "[TIME]") }

// banTimes are the times that completion offers.
const banTimes = "10m 1h 1d"

// roles are the roles of API keys.
const roles = "read state write health"

// verbNamesIf returns the names of the verbs that match, joined by between.
func verbNamesIf(are func(verb) bool, between string) string {
	var out []string
	for _, v := range verbs() {
		if are(v) {
			out = append(out, v.name)
		}
	}
	return strings.Join(out, between)
}

// valueFlags returns the flags that take a value, as a shell pattern.
func valueFlags() string {
	var out []string
	for _, v := range verbs() {
		v.eachFlag(func(f *pflag.Flag) {
			flags := []string{"--" + f.Name}
			if f.Shorthand != "" {
				flags = append(flags, "-"+f.Shorthand)
			}
			if f.NoOptDefVal == "" {
				out = append(out, flags...)
			}
		})
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "|")
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
		words := strings.TrimSpace(v.words() + " " + strings.Join(v.longFlags(), " "))
		fmt.Fprintf(&cases, "\t%s) words=%q ;;\n", v.name, words)
	}
	return `# bash completion for farmc
_farmc() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words="" some="" dirs=() given=0 i flag
	if [ "$cur" = = ]; then
		cur=""
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	case $prev in
	--dir|-d|--state-dir|--out) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--nft|--output|-o|--api-keys|--relay|--tls-cert|--tls-key)
		compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--role) mapfile -t COMPREPLY < <(compgen -W "` + roles + `" -- "$cur"); return ;;
	--farm) some=$("${COMP_WORDS[0]/#\~/$HOME}" names 2>/dev/null)
		mapfile -t COMPREPLY < <(compgen -W "$some" -- "$cur"); return ;;
	--color) mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$cur"); return ;;
	--nft-limit) mapfile -t COMPREPLY < <(compgen -W "1m 10m 30m" -- "$cur"); return ;;
	--for) mapfile -t COMPREPLY < <(compgen -W "` + banTimes + `" -- "$cur"); return ;;
	--confirm) mapfile -t COMPREPLY < <(compgen -W "30s 60s 5m" -- "$cur"); return ;;
	esac
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "` + verbNames() + `" -- "$cur")
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		flag=${COMP_WORDS[i]}
		case $flag in
		` + valueFlags() + `)
			((i++))
			if [ "${COMP_WORDS[i]}" = = ]; then ((i++)); fi
			case $flag in --dir|-d) dirs+=(--dir "${COMP_WORDS[i]/#\~/$HOME}") ;; esac ;;
		-*) ;;
		*) ((given++)) ;;
		esac
	done
	case ${COMP_WORDS[1]} in
` + cases.String() + `	esac
	case ${COMP_WORDS[1]}$given in
	` + verbNamesIf(verb.takesFarm, "0|") + `0) some=$("${COMP_WORDS[0]/#\~/$HOME}" names "${dirs[@]}" 2>/dev/null) ;;
	` + verbNamesIf(verb.takesFile, "0|") + `0) compopt -o filenames
		some=$(compgen -f -X '!*.toml' -- "$cur"; compgen -d -- "$cur") ;;
	` + verbNamesIf(verb.takesAnyFile, "1|") + `1) compopt -o filenames; some=$(compgen -f -- "$cur") ;;
	` + verbNamesIf(verb.takesTime, "2|") + `2) some="` + banTimes + `" ;;
	esac
	case $cur in
	-*) ;;
	*) words=${some:-$words} ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _farmc farmc
`
}

func zsh() string {
	var verbList, cases strings.Builder
	for _, v := range verbs() {
		fmt.Fprintf(&verbList, "\t\t'%s:%s'\n", v.name, strings.ReplaceAll(v.summary, "'", `'\''`))
		fmt.Fprintf(&cases, "\t%s) _arguments", v.name)
		v.eachFlag(func(f *pflag.Flag) { fmt.Fprintf(&cases, " '%s'", zshFlag(f)) })
		if words := v.words(); words != "" && !v.takesAnyFile() {
			fmt.Fprintf(&cases, " '*: :(%s)'", words)
		}
		if v.takesAnyFile() {
			fmt.Fprintf(&cases, " '1:program:(%s)' '2:file:_files'", v.words())
		}
		if v.takesFarm() {
			cases.WriteString(" '1:farm:_farmc_farms'")
		}
		if v.takesFile() {
			cases.WriteString(" '1:file:_files -g \"*.toml\"'")
		}
		if v.takesTime() {
			fmt.Fprintf(&cases, " '2:address: ' '3:time:(%s)'", banTimes)
		}
		cases.WriteString(" ;;\n")
	}
	return `#compdef farmc
_farmc_farms() {
	local -a dirs names
	local i
	for (( i = 2; i < CURRENT; i++ )); do
		case $words[i] in
		--dir=*) dirs+=("$words[i]") ;;
		--dir|-d) dirs+=(--dir "$words[i+1]") ;;
		esac
	done
	names=(${(f)"$(farmc names ${~dirs} 2>/dev/null)"})
	compadd -a names
}
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
	value := map[string]string{
		"dir": ":directory:_directories", "out": ":directory:_directories", "state-dir": ":directory:_directories",
		"nft": ":file:_files", "output": ":file:_files",
		"api-keys": ":file:_files", "relay": ":file:_files", "tls-cert": ":file:_files", "tls-key": ":file:_files",
		"role": ":role:(" + roles + ")", "farm": ":farm:_farmc_farms",
		"color": ":when:(auto always never)", "confirm": ":time:(30s 60s 5m)", "nft-limit": ":time:(1m 10m 30m)",
		"for": ":time:(" + banTimes + ")",
	}[f.Name]
	repeat := map[bool]string{true: "*"}[f.Name == "dir" || f.Name == "api" || f.Name == "farm"]
	return repeat + "--" + f.Name + "[" + text + "]" + value
}

func fish() string {
	var out strings.Builder
	out.WriteString(`# fish completion for farmc
function __farmc_given
	set -l given
	set -l words (commandline -opc)
	set -l i 3
	while test $i -le (count $words)
		switch $words[$i]
			case ` + strings.ReplaceAll(valueFlags(), "|", " ") + `
				set i (math $i + 1)
			case '-*'
			case '*'
				set -a given $words[$i]
		end
		set i (math $i + 1)
	end
	test (count $given) -eq $argv[1]
end
function __farmc_farms
	set -l dirs
	set -l words (commandline -opc)
	for i in (seq 3 (count $words))
		switch $words[$i]
			case '--dir=*'
				set -a dirs $words[$i]
			case --dir -d
				set -a dirs --dir $words[(math $i + 1)]
		end
	end
	farmc names $dirs 2>/dev/null
end
complete -c farmc -f
`)
	for _, v := range verbs() {
		summary := strings.ReplaceAll(v.summary, "'", `\'`)
		fmt.Fprintf(&out, "complete -c farmc -n __fish_use_subcommand -a %s -d '%s'\n", v.name, summary)
		on := fmt.Sprintf("complete -c farmc -n '__fish_seen_subcommand_from %s'", v.name)
		if words := v.words(); words != "" && !v.takesAnyFile() {
			fmt.Fprintf(&out, "%s -a '%s'\n", on, words)
		}
		if v.takesAnyFile() {
			fmt.Fprintf(&out, fishArgument, v.name, 0, v.words())
			fmt.Fprintf(&out, fishArgument, v.name, 1, "(__fish_complete_path)")
		}
		if v.takesFarm() {
			fmt.Fprintf(&out, fishArgument, v.name, 0, "(__farmc_farms)")
		}
		if v.takesFile() {
			fmt.Fprintf(&out, fishArgument, v.name, 0, "(__fish_complete_suffix .toml)")
		}
		if v.takesTime() {
			fmt.Fprintf(&out, fishArgument, v.name, 2, banTimes)
		}
		v.eachFlag(func(f *pflag.Flag) { fmt.Fprintf(&out, "%s %s\n", on, fishFlag(f)) })
	}
	return out.String()
}

// fishArgument is the line for an argument of a verb: the verb, the number of arguments before it, its values.
const fishArgument = "complete -c farmc -n '__fish_seen_subcommand_from %s; and __farmc_given %d' -a '%s'\n"

func fishFlag(f *pflag.Flag) string {
	const directories = " -x -a '(__fish_complete_directories)'"
	value := map[string]string{"dir": directories, "out": directories, "state-dir": directories, "nft": " -r -F",
		"output": " -r -F", "api-keys": " -r -F", "relay": " -r -F", "tls-cert": " -r -F", "tls-key": " -r -F",
		"role": " -x -a '" + roles + "'", "farm": " -x -a '(__farmc_farms)'",
		"color": " -x -a 'auto always never'", "confirm": " -x -a '30s 60s 5m'", "nft-limit": " -x -a '1m 10m 30m'",
		"for": " -x -a '" + banTimes + "'"}[f.Name]
	_, text := pflag.UnquoteUsage(f)
	return fmt.Sprintf("-l %s%s -d '%s'", f.Name, value, strings.NewReplacer("'", "", "\n", " ").Replace(text))
}

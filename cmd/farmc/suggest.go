package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"farmc/compiler/diag"

	"github.com/spf13/pflag"
)

// synonyms are commands of other programs (ipvsadm, haproxy, systemctl, nginx -t), with the farmc commands of the same
// purpose.
var synonyms = map[string]string{
	"list": "status", "ls": "status", "stats": "status", "info": "status", "get": "show FARM", "cat": "show FARM",
	"reload": "apply", "load": "apply", "start": "apply", "restart": "apply", "run": "apply", "deploy": "apply",
	"test": "check", "validate": "check", "verify": "check", "lint": "check", "configtest": "check",
	"build": "compile", "generate": "compile", "dump": "compile", "plan": "diff", "preview": "diff",
	"undo": "rollback", "revert": "rollback", "restore": "rollback", "log": "history", "commit": "confirm",
	"stop": "unload", "flush": "unload", "clear": "unload",
	"add": "new", "create": "new", "init": "new", "disable": "down FARM BACKEND", "enable": "up FARM BACKEND",
	"quiesce": "drain FARM BACKEND", "block": "ban FARM ADDRESS", "unblock": "unban FARM ADDRESS", "monitor": "watch",
	"daemon": "watch", "top": "status", "ps": "status", "state": "status", "statistics": "status", "backends": "status",
	"servers": "status", "farms": "status", "services": "status", "describe": "status FARM", "inspect": "status FARM",
	"rules": "compile", "nft": "compile", "dry-run": "diff", "test-config": "check", "checkconfig": "check",
	"format": "fmt", "convert": "import", "migrate": "import", "maintenance": "down FARM BACKEND",
	"maint": "down FARM BACKEND", "disable-server": "down FARM BACKEND", "enable-server": "up FARM BACKEND",
	"ready": "up FARM BACKEND", "uninstall": "unload", "flush-all": "unload",
	"-t": "check", "-L": "status", "-l": "status", "--list": "status", "--stats": "status", "-A": "new", "-E": "new",
	"-C": "unload", "--clear": "unload", "-R": "apply", "--restore": "apply", "-S": "compile", "--save": "compile",
	"-s": "apply", "-v": "version", "-V": "version",
}

// withFiles are commands of other programs for which farmc has none, because farms are files.
var withFiles = map[string]string{"remove": removeFile, "delete": removeFile, "rm": removeFile, "edit": editFile,
	"set": editFile, "modify": editFile, "weight": editFile, "-D": removeFile, "-a": editFile, "-e": editFile,
	"-d": editFile, "save": noSave}

// otherFlags are options of other programs, with those of farmc.
var otherFlags = map[string]string{"config": "dir", "c": "dir", "f": "dir", "file": "dir", "format": "json",
	"output": "json", "o": "json"}

const (
	removeFile = "remove the farm's file, and run farmc apply"
	editFile   = "edit the farm's file, and run farmc apply"
	noSave     = "farmc apply keeps what it loads, and farmc-boot.service loads it at a boot"
)

// unknownCommand describes a command that does not exist, with the one that is probably meant.
func unknownCommand(name string) string {
	if words := ofOthers(name); words != "" {
		return fmt.Sprintf("unknown command %q; %s", name, words)
	}
	if near := diag.Nearest(strings.ToLower(name), strings.Fields(verbNames())); near != "" {
		return fmt.Sprintf("unknown command %q; did you mean farmc %s?", name, near)
	}
	return fmt.Sprintf("unknown command %q; see farmc help", name)
}

// ofOthers is the command in place of one of another program; "" if none is known. Case matters in options alone.
func ofOthers(name string) string {
	if !strings.HasPrefix(name, "-") {
		name = strings.ToLower(name)
	}
	if v, ok := findVerb(synonyms[name]); ok {
		return fmt.Sprintf("farmc %s: %s", synonyms[name], v.summary)
	}
	return withFiles[name]
}

// unknownOption describes an option before the command.
func unknownOption(name string) string {
	if words := ofOthers(name); words != "" {
		return fmt.Sprintf("option %s before the command; %s", name, words)
	}
	return fmt.Sprintf("option %s before the command; see farmc help", name)
}

// unknownFlag adds the option that is probably meant to an error about one that the command does not have.
func unknownFlag(err error, set *pflag.FlagSet) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err.Error()
	}
	name := unknown.GetSpecifiedName()
	var names []string
	set.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	meant := otherFlags[name]
	switch {
	case name == "dry-run" || name == "n" && set.Name() == "apply":
		return err.Error() + "; farmc diff shows what apply would change"
	case set.Lookup(meant) == nil:
		meant = diag.Nearest(name, names)
	}
	if meant == "" {
		return err.Error()
	}
	return fmt.Sprintf("%v; did you mean --%s?", err, meant)
}

// findVerb returns the verb of a command with arguments, such as "status FARM".
func findVerb(command string) (verb, bool) {
	name, _, _ := strings.Cut(command, " ")
	for _, v := range verbs() {
		if v.name == name {
			return v, true
		}
	}
	return verb{}, false
}

// superfluous describes an argument of a command that takes none.
func superfluous(name, arg string) string {
	words := fmt.Sprintf("%s takes no arguments, but there is %q", name, arg)
	switch info, err := os.Stat(arg); {
	case err == nil && info.IsDir():
		return words + "; a directory of farms follows --dir"
	case strings.HasSuffix(arg, ".toml"):
		return words + "; farmc check FILE takes a file"
	}
	return words
}

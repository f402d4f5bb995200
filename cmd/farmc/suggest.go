package main

import (
	"fmt"
	"os"
	"strings"

	"farmc/compiler/diag"
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
}

// withFiles are commands of other programs for which farmc has none, because farms are files.
var withFiles = map[string]string{"remove": removeFile, "delete": removeFile, "rm": removeFile, "edit": editFile,
	"set": editFile, "modify": editFile}

const (
	removeFile = "remove the farm's file, and run farmc apply"
	editFile   = "edit the farm's file, and run farmc apply"
)

// unknownCommand describes a command that does not exist, with the one that is probably meant.
func unknownCommand(name string) string {
	meant := synonyms[strings.ToLower(name)]
	if v, ok := findVerb(meant); ok {
		return fmt.Sprintf("unknown command %q; farmc %s: %s", name, meant, v.summary)
	}
	if words := withFiles[strings.ToLower(name)]; words != "" {
		return fmt.Sprintf("unknown command %q; %s", name, words)
	}
	if near := diag.Nearest(strings.ToLower(name), strings.Fields(verbNames())); near != "" {
		return fmt.Sprintf("unknown command %q; did you mean farmc %s?", name, near)
	}
	return fmt.Sprintf("unknown command %q; see farmc help", name)
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

package main

import (
	"regexp"
)

// An Example is a farm, a list or a drop-in that farmc-examples(7) shows and the package installs as a file.
type Example struct{ Name, Text string }

// exampleBlock is a block of code that begins with a comment of the file's name.
var exampleBlock = regexp.MustCompile("(?ms)^```[a-z]*\n# ([a-z0-9./-]+\\.(?:toml|list))\n(.*?)^```$")

// examples gives the files of farmc-examples(7), in its order.
func examples() []Example {
	page, err := pages.ReadFile("farmc-examples.7.md")
	if err != nil {
		panic(err)
	}
	var out []Example
	for _, at := range exampleBlock.FindAllStringSubmatch(string(page), -1) {
		out = append(out, Example{at[1], at[2]})
	}
	return out
}

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// goProse gives the comments of a Go file, without directives and without code in comments.
func goProse(path, content string) (prose []paragraph, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, group := range file.Comments {
		var lines []proseLine
		for _, comment := range group.List {
			lines = append(lines, commentLines(comment, files.Position(comment.Pos()).Line)...)
		}
		prose = append(prose, paragraphs(lines)...)
	}
	return prose, nil
}

// commentLines gives the prose of a comment that begins in the line. A line that begins with a tab is code, as gofmt
// writes it.
func commentLines(comment *ast.Comment, first int) (lines []proseLine) {
	text, isLine := strings.CutPrefix(comment.Text, "//")
	if !isLine {
		text = strings.TrimSuffix(strings.TrimPrefix(text, "/*"), "*/")
	}
	if isLine && text != "" && text[0] != ' ' && text[0] != '\t' {
		return nil // a directive: //go:build
	}
	for i, line := range strings.Split(text, "\n") {
		if isLine && strings.HasPrefix(line, "\t") {
			line = ""
		}
		lines = append(lines, proseLine{first + i, line})
	}
	return lines
}

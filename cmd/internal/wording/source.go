package main

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// A source is a file with prose.
type source struct {
	path  string
	group string // name of the result it counts for
	prose func(path, content string) ([]paragraph, error)
}

// find gives the sources below the directories.
func find(directories []string) (found []source, err error) {
	for _, directory := range directories {
		err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				return skip(path, entry.Name(), directory)
			}
			if s, ok := sourceOf(path); ok {
				found = append(found, s)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// skip leaves out directories that hold no text of the project: hidden ones, build output, input of tests, and golden,
// where the compiler writes the .nft files.
func skip(path, name, root string) error {
	if path == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "dist", "golden", "node_modules"}, name) {
		return fs.SkipDir
	}
	return nil
}

// sourceOf tells how the prose of a file is found. A Go file counts for its directory, and so does a template.
func sourceOf(path string) (source, bool) {
	directory := filepath.Dir(path)
	switch filepath.Ext(path) {
	case ".go":
		return source{path, directory, goProse}, true
	case ".nft":
		return source{path, directory, templateProse}, true
	case ".md":
		return source{path, path, markdownProse}, true
	}
	return source{}, false
}

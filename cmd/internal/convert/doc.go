// Package convert is the frame of farmc import and farmc export: farms that are made from another program's
// configuration, the losses on the way, and the files of these farms.
//
// An importer is a package below this one with the name of its source (ipvsadm, keepalived, haproxy). It reads an Input
// and fills a Result. Each directive of the source becomes keys of a Farm, or a Loss. An unknown directive is a Loss,
// too: nothing is dropped in silence. An exporter is the way back, from farm.Farm to a text.
//
// The package knows documents of farms and the compiler. It must not know the formats of other programs, nor loading.
// It never runs a program, and reads only files that Input opens.
//
// Files, in the order to read them: input.go opens files within bounds; result.go has Result, Farm and Loss; names.go
// makes names legal; words.go has sets of words for importers; files.go turns a Result into files that compile;
// write.go puts them into a directory.
//
// Be aware:
//   - A farm that the compiler refuses becomes NAME.toml.incomplete, which farmc never reads, and a Loss that matters.
//   - Texts of the source reach a terminal only through Loss.String, and a file only through package edit.
package convert

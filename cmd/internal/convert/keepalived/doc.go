// Package keepalived reads the virtual servers and health checks of keepalived.conf(5), and writes such a file.
//
// It knows the format, its defaults and its checkers. Package ipvs knows the meaning of the virtual servers.
//
// parse.go makes statements of the text, with lines.go below it: comments, conditions, included files; words.go has
// quotes and escapes, parameters.go parameters and sequences. import.go has the sections; server.go virtual servers and
// real servers; group.go groups of addresses; checker.go health checks, and checkers.go each type of them. export.go is
// the way back.
package keepalived

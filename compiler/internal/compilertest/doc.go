// Package compilertest has the helpers that tests of two packages need: goldens, a kernel in a network namespace, a
// reader of scripts, and a model of random farms.
//
// The package imports the compiler, so tests inside of package compiler, farm and ruleset cannot import it; external
// tests of package compiler, and all tests of reload and flows, can.
//
// Files, in the order to read them: golden.go and compiled.go have the cases in golden/ and their scripts; kernel.go
// and listing.go load scripts and compare what the kernel holds; grammar.go reads a script by a grammar of its own,
// packet.go walks a packet through it; model.go and access.go make random farms and say what they promise; edit.go
// changes them; property.go has checks of a script that was read.
//
// Be aware: grammar.go has a form for every line that a template can make, and nothing else. A new line needs a new
// form.
package compilertest

// Package diag holds the messages of farmc to the author of a farm: the place in a file, the mistake, and the
// remedy.
//
// The package knows text files, lines and columns. It knows nothing of TOML, farms or nft, and imports none of
// farmc's packages, so that every stage of the compiler can report with it.
//
// Files, in the order to read them: diag.go has the types, their order and their printing; suggestion.go finds
// the known word that a misspelt one is likely to stand for; origin.go names the part of a farm that a line of
// a script comes from.
//
// Be aware:
//   - A Diagnostic with Severity Fault stops a load. Fault is the zero Severity, so a forgotten Severity is a
//     fault.
//   - Lines and columns count from 1, and columns count characters, not bytes. Line 0 stands for the whole
//     file.
//   - Messages, hints and lines of files hold text that users wrote. Print makes them Printable. Other ways to
//     a terminal or a log must do so themselves.
//   - Sort drops a diagnostic that has the place and the message of the one before it.
package diag

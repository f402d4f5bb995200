// Package edit edits the TOML files of farms in place, and turns farms into JSON documents and back.
//
// A Document has the very keys of the TOML format. Decode reads one, or a merge patch, from JSON; Patch applies a merge
// patch to the bytes of a file and leaves all other bytes as they are; Write makes a file of a whole document; Read
// gives the document of a file alone; Format lays a file out. The compiler merges farms with their drop-ins.
//
// The package knows TOML, JSON and the order of the keys of a farm. It must not know HTTP, directories, nft or loading,
// and does not judge farms: the compiler does.
//
// Files, in the order to read them: document.go has Document, Fault and Read; decode.go reads JSON; check.go finds
// values that TOML cannot hold; merge.go is RFC 7396. literal.go, order.go and write.go write documents. patch.go is
// the entry for edits. tree.go finds the statements that define a key; remove.go cuts statements out of a text, then
// set.go changes values and adds statements, at the places that home.go finds; lines.go and splice.go are the text
// below them. format.go lays out a text; format_comments.go finds the statement that a comment belongs to.
//
// Be aware:
//   - An edit is a list of splices at the offsets of toml.Statements. Libraries that keep a document as a syntax tree
//     (creachadair/tomledit among them) write spacing, ends of lines and blank lines anew.
//   - One key may be defined in many places: [a.b], a.b.c = 1 in [x], braces. A tree collects all of them.
//   - Each result is parsed again and compared with the merged document. A difference is a fault, and nothing is
//     written.
//   - BurntSushi/toml 1.6.0 loses keys beside an empty one, so documents with an empty name are refused.
package edit

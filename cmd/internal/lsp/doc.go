// Package lsp is a language server of farm files: an editor that speaks the Language Server Protocol (version 3.17)
// gets the compiler's faults and warnings while a farm is written, completion of keys and values, the meaning of a key,
// and the layout of farmc fmt.
//
// The package knows the protocol, open documents and directories of farms. It does not know the machine, the kernel or
// loading: diagnostics are as of farmc check --no-nft. It changes no file, and reads only the directories of the
// documents that the editor has open.
//
// server.go (Serve) has the methods and the states of a session; channel.go bounds messages; protocol.go has the types
// of the protocol that are used. document.go has open documents and positions. check.go compiles the directories of
// documents, ranges.go finds the ends of diagnostics. scan.go outlines a text that may be incomplete; keys.go finds the
// key at a place of it; complete.go, values.go and hover.go answer the editor.
//
// Be aware: positions of the protocol count UTF-16 code units from 0, places of the compiler characters from 1. Methods
// run at once, except notifications, which run one after the other, before the requests that follow them.
package lsp

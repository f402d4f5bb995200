// Package templates holds the nft text of the rulesets that farmc writes. It is a package of its own as go:embed
// can't reach up the tree. The compiler types or validates all data of templates, so nothing in them needs
// quotes.
package templates

import "embed"

// Files are the templates; script.nft is the door.
//
//go:embed *.nft
var Files embed.FS

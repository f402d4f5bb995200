// Package templates holds the nft text of the rulesets that farmc writes. It is a package of its own as go:embed
// can't reach up the tree. What the templates are given is typed or validated by the compiler: there is nothing to
// quote in them.
package templates

import "embed"

// Files are the templates; script.nft is the door.
//
//go:embed *.nft
var Files embed.FS

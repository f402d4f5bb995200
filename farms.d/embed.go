// Package farmsd holds the example farms. It is a package of its own because go:embed cannot reach up the tree.
package farmsd

import "embed"

// Farms are the farms of the demo.
//
//go:embed *.toml
var Farms embed.FS

// Reference explains every key of farms.
//
//go:embed reference.toml
var Reference string

// Package farmsd holds the text of reference.toml. It is a package of its own because go:embed cannot reach up the
// tree.
package farmsd

import _ "embed"

// Reference explains every key of farms.
//
//go:embed reference.toml
var Reference string

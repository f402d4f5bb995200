package diag

// An Origin is the source of a line of a script: a farm, one of its keys, and the place of the key's value.
type Origin struct {
	Farm  string
	Key   string
	Place Place
}

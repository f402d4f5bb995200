package diag

// Origin is where a line of a script comes from: a farm and one of its keys.
type Origin struct {
	Farm  string
	Key   string
	Place Place
}

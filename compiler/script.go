package compiler

// A Script is what farms compile to: the complete nft script, and what is known about its parts.
type Script struct {
	Text   []byte  // nft's language as of version 1.0.6; works from any state, twice
	Digest string  // of what the script says, in hex (SHA-256); the comment of its rule in keep-conntrack carries it
	Farms  []*Farm // in the order of their names

	Ingress    []string // the network interfaces at whose ingress rules hang, in the order of their names
	Interfaces []string // all that rules hang on or hand on to, likewise; rules hold their numbers, not their names

	origins []*Origin // of each line, from the first; nil: of no farm
}

// Origin is where a line of a script comes from: the farm and the part of it that asked for it.
type Origin struct {
	Farm  string
	Key   string
	Place Place
}

// Origin tells where line n of the script comes from, counted from 1 as nft does.
func (s *Script) Origin(n int) (Origin, bool) {
	if n < 1 || n > len(s.origins) || s.origins[n-1] == nil {
		return Origin{}, false
	}
	return *s.origins[n-1], true
}

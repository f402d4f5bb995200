package ruleset

// Taken is the number of services whose elements were taken over by the last link.
func (s *Services) Taken() (n int) {
	for _, of := range s.known {
		if s.isTaken(of) {
			n++
		}
	}
	return n
}

package boltstore

// Occupy holds the writers' lock until the function it returns is called.
func (s *Store) Occupy() (release func()) {
	s.writer <- struct{}{}
	return func() { <-s.writer }
}

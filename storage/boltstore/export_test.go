package boltstore

// Occupy takes the writer's turn until the function it returns is called.
func (s *Store) Occupy() (release func()) {
	s.turn <- struct{}{}
	return func() { <-s.turn }
}

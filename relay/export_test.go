package relay

// OwnAll makes every key one of the position, for the tests of stores.
func (s *Store) OwnAll() { s.owns = func(key string) bool { return key != s.idKey() } }

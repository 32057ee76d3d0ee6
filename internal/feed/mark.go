package feed

// Mark is how far what was queued for a listener reached at a moment.
type Mark []queued

type queued struct {
	entry *entry
	last  uint64
}

// Mark returns where the queue of a listener ends now, with those of the conversations that
// are read apart for it.
func (f *Feed) Mark(id ID) (m Mark) {
	for _, e := range f.readers {
		if e.id == id || e.main != nil && e.main.id == id {
			m = append(m, queued{e, e.queue.last})
		}
	}
	return m
}

// Handled reports whether all that was queued at the moment of a mark is acknowledged. What
// has been queued since does not count.
func (m Mark) Handled() bool {
	for _, at := range m {
		if at.entry.queue.low() < at.last {
			return false
		}
	}
	return true
}

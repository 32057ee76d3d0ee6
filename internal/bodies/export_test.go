package bodies

// Remembered is how many places and rows are remembered.
func (b *Bodies) Remembered() (places, rows int) {
	c := b.copies.Get()
	return len(c.places.now) + len(c.places.old), len(c.rows.now) + len(c.rows.old)
}

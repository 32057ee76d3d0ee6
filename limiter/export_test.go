package limiter

// Decode reads a record, and what a replica would do with it.
func Decode(raw []byte) (members int, err error) {
	r, err := decode(raw)
	if err != nil {
		return 0, err
	}
	shared := 0
	for _, m := range r.Members {
		shared += r.share(m.ID)
		if n := r.room(m.ID); n < 0 || n > r.N {
			panic("room")
		}
	}
	if shared > r.pool() {
		panic("more is shared than there is")
	}
	return len(r.Members), nil
}

package fleet

// Batch is how many conversations a Look has at most at the moment.
func (f *Fleet) Batch() int { return f.batch }

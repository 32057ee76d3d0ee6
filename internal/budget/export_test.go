package budget

// Looks is how many classes were looked at in all decisions so far.
func (b *Budget[U, W]) Looks() int { return b.looks }

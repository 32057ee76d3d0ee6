package wire

// Any group object marks a conversation as a group, as documented. But Fliplet's widget
// gives one-to-one chats {readOnly: false}, and this SDK {}: these say nothing.

// GroupOf is what a new conversation stores as its group. nil is none.
func GroupOf(asked M) M {
	switch {
	case asked == nil:
		return M{}
	case len(asked) == 0:
		return M{public: false} // what the documentation gives for a group
	}
	return CloneMap(asked)
}

// Grouped reports whether the group of a definition marks a group.
func (d Definition) Grouped() bool {
	for name, v := range d.Object(Group) {
		if v != nil && (name != readOnly || Bool(v)) {
			return true
		}
	}
	return false
}

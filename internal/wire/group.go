package wire

// Any group object marks a conversation as a group, as documented. But Fliplet's widget
// gives one-to-one chats {readOnly: false}, and this SDK {}: these say nothing. So a group
// of this SDK stores something that does.

// GroupOf is what a new conversation stores as its group: something that marks a group,
// whatever was asked for. nil is none.
func GroupOf(asked M) M {
	if asked == nil {
		return M{}
	}
	stored := NewDefinition()
	group := CloneMap(asked)
	if stored.Set(Group, group) == nil && !stored.Grouped() {
		group[public] = false // what the documentation gives for a group
	}
	return group
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

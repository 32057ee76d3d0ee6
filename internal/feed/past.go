package feed

// recall remembers again what a listener was told of a row and of its send, and has forgotten.
func (r *reader) recall(row *Row) {
	if row.Past == nil {
		return
	}
	if was := row.Past.Version; was != nil && r.wasTold(was) {
		v := versionOf(was)
		v.duplicate = was.Copy
		r.mem.add(was.ID, v)
	}
	if was := row.Past.Send; was != nil && r.wasTold(was) {
		v := versionOf(was)
		if was.Origin != row.Origin {
			v.left = row.Origin // it has become something else since
		}
		r.mem.add(was.ID, v)
		r.mem.origins.getOrPut(originKey{row.Conversation, row.Origin}, was.ID)
	}
}

// wasTold reports whether a row was told, or is history, and nothing is remembered of it.
func (r *reader) wasTold(row *Row) bool { return !r.knows(row.ID) && r.mem.old(row) }

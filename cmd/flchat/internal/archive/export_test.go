package archive

// Late lets records be written after the position, which loses those that a kill comes before.
func (o *Options) Late() { o.late = true }

// Unhashed switches the comparison of records with their hashes off.
func Unhashed(on bool) {
	unhashed = ""
	if on {
		unhashed = "everything"
	}
}

// Eager tells Progress of each message.
func (o *Options) Eager() { o.eager = true }

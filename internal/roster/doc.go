// Package roster knows which data sources are conversations of a user.
//
// [Known] holds the definitions that were read last, with the keys of their bodies. A
// [Roster] decides from them, for one user, of which conversations rows may be shown and
// changed. What it does not know it reads, and remembers, also that the user is not a
// member, so that the same question costs no second request for a while.
//
// Rows come from a server that may answer with more than was asked for, so every
// answer that is not about a known conversation is checked, and what cannot be confirmed
// is not shown. A [Change] edits a definition that others edit, too.
package roster

import "time"

const (
	// rest is how long an answer that the user is not a member, or that something could
	// not be read, is believed. Rows that come from such a conversation again and
	// again double it, up to longestRest.
	rest        = 5 * time.Second
	longestRest = 5 * time.Minute
	// confirmations is how often in a row something has to say that there is no conversation
	// before it is believed, where that is not certain to be the service.
	confirmations = 3
	// maxReads is how many conversations that the user's list does not have are read
	// because of one page of rows. A list may be behind, or know one app only.
	maxReads = 20
	// maxDenied bounds the memory for conversations that are not the user's.
	maxDenied = 4096
)

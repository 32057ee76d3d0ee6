// Package rows reads the rows of all conversations of a user.
//
// A [Source] uses the cross-source endpoint, of which little is published. If a
// server does not have it, the Source reads one conversation after the other through
// documented endpoints and evaluates conditions itself. The result is the same, even
// if the server ignores order, limit, offset or filters.
//
// [Feed] converts rows for the receive engine, with the hash of their content that
// stored positions hold. [Arrange] sorts rows.
package rows

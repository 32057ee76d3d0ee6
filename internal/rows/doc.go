// Package rows reads rows of all the conversations of a user.
//
// A [Source] asks the cross-source endpoint, of which little is published. A server
// that does not have it is asked conversation by conversation, through documented
// endpoints only, and conditions are then decided here. Either way the answer is the
// same, whatever the server makes of order, limit, offset and filters.
//
// [Feed] turns rows into what the receive engine takes, with the hash of their
// content that positions keep; [Arrange] is how rows are sorted.
package rows

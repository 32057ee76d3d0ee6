// Package feed is the receive engine: it decides which rows of a chat are new,
// updated or deleted for each listener, and what to ask the server next, and when.
//
// It is a pure state machine. Inputs are method calls ([Feed.Page],
// [Feed.Members], [Feed.Failed], [Feed.Poke], [Feed.Subscribe], …) that carry
// the current time; outputs are the [Action] of [Feed.Next] and the [Event]s of
// [Feed.Take]. It has no clock, goroutine, lock or I/O, so production, tests and
// simulations run the same code. A Feed is not safe for concurrent use: its owner
// serialises the calls.
//
// # How rows are found
//
// Every row carries a creation time, a change time and an id, all given by the
// server. The engine pages by keyset, never by offset:
//
//   - live, it asks for changes: rows after a position in (updatedAt, id) order,
//     starting at the newest change that has settled, which means that it was
//     seen an overlap window ago, so that rows which became visible late are
//     still found;
//   - behind, it asks for new rows in (createdAt, id) order, page by page, so that
//     a backlog of any length is delivered in order with bounded memory, and
//     then for what changed among the older rows;
//   - at the start, and when a conversation is joined, it asks for the newest page.
//
// Versions already delivered are remembered by id, change time and content, at
// least as long as a re-read can bring them again.
//
// # Listeners
//
// Each listener is a reader with a position and a bounded queue of its own. Live
// readers share one request per poll. A reader whose queue is full is left out and
// reads from its own position when it has room again, so a slow listener costs no
// memory and does not delay others.
//
// A durable listener has a position that can be stored. Its events may be acknowledged
// out of order. A conversation that holds it up is set aside: it is read by a reader of
// its own, until it has caught up.
//
// # How it is checked
//
// The simulator, internal/feed/sim, plays seeded histories against this package
// and an oracle. It is itself checked by defects that it must notice: patches of
// these files, kept beside the simulator, which have to follow when the files
// change.
package feed

// Package fleet receives the messages of a whole app in one process: thousands of users
// and conversations, with the requests of one client.
//
// # The way of a row
//
//	index      what may have changed: a bell, the times in the list of conversations, the
//	           audit log, or nothing but a sweep
//	  │ mark
//	dirty      conversations to read, the most urgent first
//	  │ plan   a strategy makes requests of them, each for many conversations
//	budget     classes of requests take turns at the limit of the server
//	  │ Take
//	track      what was read of one conversation: tells the rows that are new
//	  │ Append
//	log        rows in the order in which they arrived
//	  │ Answer
//	inbox      answers the queries of one listener's engine from the log
//	  │ feed.Feed
//	listener
//
// An entry of the log is one version of one row, with a stamp. Stamps are times of the
// server that grow with each entry. The engine of a listener, package feed, gets them as
// times of change. So a row that was read late, because a bell was lost or the server was
// down, is never behind the position of a listener, and the engine's rules about what is
// new, changed or deleted hold as they do over HTTP. The server's own times stay in
// Entry.Changed, for what came before a listener began.
//
// # Memory
//
// The log keeps the content of its newest entries, and the keys of some more. A listener
// that has fallen behind the content gets the keys from the log and the content from the
// server ([Inbox.Answer] says which rows), and one that has fallen behind the keys begins
// again, with a gap. A conversation costs a [Fleet] about 400 bytes while nothing happens
// in it. A user without a listener costs what the list of their conversations takes.
//
// # What is pure
//
// [Fleet], [Log], [Inbox], [Budget] and the strategies have no clock, goroutine,
// lock or I/O; inputs carry the time, and outputs say what to ask and when. [Driver]
// and [Gate] are the small impure part. The simulator, internal/fleet/sim, runs the pure parts against a
// model of a server on virtual time, with the limit on.
//
// # A strategy
//
// A [Strategy] decides what is asked for the index, and makes requests of what is dirty. A
// new one is one file. It cannot lose rows: what is complete is told by the tracks, and a
// conversation that no index names is swept.
package fleet

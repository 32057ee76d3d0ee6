// Package pgstore keeps a [storage.Store] in PostgreSQL, so that several processes on
// several machines share logins, positions and leases:
//
//	store, err := pgstore.Open(ctx, "postgres://chat@db.example.org/chat")
//	defer store.Close()
//	c, err := chat.Connect(ctx, chat.Options{Storage: store, …})
//
// # What is in the database
//
// [Open] makes three tables in a schema of their own, "fliplet_chat" unless [Schema] says
// otherwise: store has a row for each key (bytes, in the order of the bytes) with its
// value, a version that each write raises and the time of the write; store_watch says who
// waits for which key; store_version says what the tables look like. Any number of
// processes may open a database at once, also a new one: they make the tables one after
// the other. A schema that a newer version of this package has made is refused with
// [ErrNewerSchema]. After the tables are made, SELECT, INSERT, UPDATE and DELETE on them is
// all that a user of the database needs, with USAGE of the schema.
//
// Several applications share one database by [Namespace], or keep apart by [Schema] or
// [TablePrefix].
//
// # Effects exactly once
//
// The Store is a [storage.Transactional]. What fn of [Store.Update] writes through its
// Store and what it writes by itself with the transaction that [Tx] returns take effect
// together or not at all. Transactions are READ COMMITTED: a swap locks its row until the
// end of the transaction, so whoever swaps it at the same time waits, and then sees what
// was written. Nothing is tried again inside: an error of a statement, a deadlock, a
// conflict is returned, and nothing of the transaction is stored. Only when the answer to
// COMMIT is lost nobody knows, and the error matches [ErrUncertain].
//
// # Waiting
//
// The Store is a [storage.Watcher]: a process that stands by for a lease is told when the
// lease is given back, by LISTEN and NOTIFY, over one connection for all keys. There is
// none, and no goroutine, while nobody waits. A write notifies only when somebody waits for
// its key, since PostgreSQL lets transactions that notify commit one at a time. Behind
// PgBouncer in its transaction mode LISTEN does not work; then a release is found within
// some seconds.
//
// # Facts for operators
//
//   - PostgreSQL 12 or later. A call is one statement and one round trip; Update is BEGIN,
//     COMMIT and what happens between.
//   - Connections: those of the pool (pool_max_conns in the DSN, by default the number of
//     processors or 4, whichever is more), and one while somebody waits. A handler in a
//     transaction needs a connection for itself, so give the pool a few more than handlers
//     that run at the same time.
//   - Where default_transaction_isolation is a higher one than READ COMMITTED the server refuses
//     a call that somebody else was faster than; it is made again for up to 10 s.
//   - After a restart or a failover of the server the Store goes on by itself. Calls fail
//     meanwhile, and a write over a connection that was just lost does once more. Reads are
//     made again over another connection.
//   - What was acknowledged is as durable as the server: with asynchronous replication a
//     failover may lose the last moments, and synchronous_commit=off may after a crash.
//   - A position is about 100 bytes for each message. Rows are updated in place where there
//     is room, and autovacuum removes what is left. See docs/performance.md for numbers.
//   - Values hold chat tokens in the clear: encrypt them with [storage.Encrypted]. The Store
//     has no Scrub, since PostgreSQL keeps what was deleted in dead rows, in its
//     write-ahead log and in backups.
package pgstore

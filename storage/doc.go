// Package storage is where a chat keeps what must outlive a call: identities,
// caches for offline use, cursors, unsent messages. A [Store] is a small
// key-value interface that any database can serve; [NewMemory] is the default.
//
// A Store may have further abilities, each an interface of its own that is found by
// a type assertion: [Lister], [Exclusive], [Transactional], [Watcher] and [Scrubber]. A
// wrapper around a Store passes on those that it wants to keep.
//
// A Store holds chat tokens, keys and rows in the clear. [Encrypted] is a wrapper that
// encrypts what another Store keeps.
//
// Package storagetest checks an implementation, package boltstore keeps a store
// in a file. Stores in PostgreSQL, SQLite and NATS are modules of their own: storage/pgstore,
// storage/sqlstore and storage/natsstore.
package storage

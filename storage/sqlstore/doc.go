// Package sqlstore keeps a [storage.Store] in a SQLite file, beside tables of your own, so
// that what a consumer writes and its position change in one transaction:
//
//	import _ "modernc.org/sqlite" // or another driver for database/sql
//
//	store, err := sqlstore.Open(ctx, "archive.db")
//	defer store.Close()
//	c, err := chat.Connect(ctx, chat.Options{Storage: store, …})
//	err = c.Consume(ctx, "archive", func(ctx context.Context, m *chat.Message) error {
//		tx, err := sqlstore.Tx(ctx)
//		if err != nil {
//			return err
//		}
//		_, err = tx.ExecContext(ctx, `INSERT INTO archive VALUES (?, ?)`, m.ID, m.Body)
//		return err
//	})
//
// Each message is in the table exactly once, whenever the process is killed: the row and
// the position are committed together, or neither is. A process that was suspended, and
// goes on after another one has taken over, commits nothing.
//
// Any number of processes on one machine may have the file open. It is in WAL mode: reads
// wait for nobody, and one transaction writes at a time. So a transaction of [Store.Update]
// takes the lock of writers at its first use, and everybody else's writes wait until it is
// over. Do what takes long, such as requests, before the first call of [Tx]. While the
// transaction has the lock, a call of the Store with its context that writes would wait for
// itself, and fails at once with [ErrInTransaction]: send messages through an outbox before
// the first call of Tx. With chat.Batch the messages of a batch share one transaction, which
// the first of them begins: leave Batch out where the function sends through an outbox. Do not
// call Logout in the function after Tx, either: it waits for the lock for half a minute, and
// forgets nothing.
//
// A process that is suspended while its transaction has the lock keeps it until it goes on or
// is killed, and nobody takes over until then.
//
// The file must be on a disk of this machine: WAL does not work over a network. It holds
// chat tokens, so a new one is made for its owner alone (mode 0600). Bytes of deleted values
// may stay in it. The Store's tables are named fliplet_chat_values and fliplet_chat_schema.
package sqlstore

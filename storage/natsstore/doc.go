// Package natsstore keeps a [storage.Store] in a key-value bucket of NATS JetStream, so that
// several machines share logins, positions and leases:
//
//	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
//	js, err := jetstream.New(nc)
//	store, err := natsstore.Open(ctx, js, "chat", natsstore.Replicas(3))
//	c, err := chat.Connect(ctx, chat.Options{Storage: store, …})
//
// The bucket is an ordinary one: the nats command lists and reads it. It keeps one value a key,
// and no value expires.
//
// # Consistency
//
// Every write expects the revision that it replaces, and every read asks the leader of the
// stream, not the nearest replica. An answer that was lost is settled by reading back: each
// write carries a mark of its own and the revision that it expected, so what is there now
// tells whether the write happened. Where it does not, because somebody else has written since,
// the error matches [ErrUnknown].
//
// # Durability
//
// JetStream answers a write when a majority of the replicas has it, but each writes to its
// disk every two minutes only. With one replica, or with all machines losing power at once,
// the last two minutes can be lost, and the other replicas of a chat would repeat or miss what
// was acknowledged in them. Nothing is lost with three replicas ([Replicas]) on machines that
// do not fail together, or with "sync_interval: always" in the server's configuration of
// JetStream, at the price of a write to the disk for every message.
//
// # Limits
//
// A value with its headers, about 300 bytes, has to fit into the server's max_payload, which is
// 1 MiB by default; larger values fail with [ErrTooLarge]. A write is one request, or two where
// the key exists; a swap is a read and a write. A deleted key leaves a mark of some 200 bytes
// for an hour, or for ever in a bucket that was made without a limit of markers.
//
// A Store is no [storage.Scrubber]: JetStream stops serving a replaced or deleted value with
// the write, but its bytes stay in the server's files until a block is compacted. Where that
// matters keep only ciphertext there, with [storage.Encrypted].
package natsstore

// Package relay carries the messages of a user into a stream of somebody else's, such as one of
// NATS JetStream, with none lost and none twice in the stream.
//
// The position of a consumer is what says which messages the stream has. Wherever else it is
// kept, a crash between the stream and the position loses messages or repeats them. So here
// it lives in the stream: a [Relay] stores events and the position behind them in one atomic
// step, and refuses the step of whoever does not know the position that is there.
//
// A [Store] is a [storage.Transactional] around another Storage, which keeps everything but the
// position. Options.Storage gets it, and [Store.Run] is a chat.Chat.Consume whose function puts
// each message into the transaction:
//
//	r, err := natsrelay.Open(ctx, js, "CHAT", "support")
//	store, err := relay.NewStore(shared, "support", r)
//	c, err := chat.Connect(ctx, chat.Options{Storage: store, …})
//	err = store.Run(ctx, c, chat.Batch(100))
//
// Replicas run the same program. One of them, which holds the lease in the shared Storage, reads
// from Fliplet; the others stand by, and take over when it is gone. The lease saves requests and
// is not what keeps the stream whole: a process that was suspended and goes on finds its step
// refused, and stands by.
//
// [Publish] puts other events into the transaction of a function of one's own, also one of
// chat.App.Consume, which has all conversations. There a deletion may be told again after a crash
// between the step and the note of it in the other Storage.
//
// Package natsrelay is the adapter for NATS. One for brokers without an atomic step, package
// watermillrelay, repeats after a crash, and says so.
package relay

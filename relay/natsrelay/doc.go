// Package natsrelay is a [relay.Relay] to a stream of NATS JetStream, with a server of version
// 2.12 or later.
//
// A stream has events under chat.msg.<conversation>, JSON in the form of [relay.Envelope], and one
// position a shard under chat.pos.<shard>. Both go there as one atomic batch, whose first message
// is the position and expects the last sequence of its subject. So the server stores all of a batch or
// nothing, and nothing of whoever does not know the last position: a process that was suspended
// beyond its lease, or the other side of a lost answer. No window of duplicates is needed, and
// none is used.
//
// A position replaces the one before and never expires. Events expire with [MaxAge], if at all.
// Consumers of the stream filter chat.msg.>; a consumer that acknowledges has each message once.
//
// # Durability
//
// JetStream answers when a majority of the replicas has a batch, but writes to the disk every two
// minutes only. That nothing is lost when a machine loses power takes three replicas ([Replicas]) on
// machines that do not fail together, or "sync_interval: always" in the configuration of
// JetStream. Where the server forgets a batch it forgets its position, too, and the messages are
// sent again.
//
// # Limits
//
// A batch takes 999 events at most, and a server 50 open batches of a stream: who is refused for
// that waits. An event that does not fit into the server's max_payload goes as a stub
// ([relay.Stub]), so that the others go on. A position has to fit, too: it has some 40 bytes for each
// message of the last minute. Where more than 25,000 come in a minute raise max_payload from its
// default, 1 MiB. Otherwise nothing goes on until that is done, the error says so, and nothing is lost.
package natsrelay

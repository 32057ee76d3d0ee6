// Package outbox sends messages that must not be lost, through outages and
// crashes: once, and in order.
//
// Three machines share the work. The [Queue] decides: it is a pure state machine,
// without clock, goroutine, lock or I/O, so that production, tests and models run
// the same code. The journal keeps what was accepted in a [storage.Store], and
// finds what another process left behind. The [Outbox] drives both with a real
// clock: it makes the requests through the ports of its [Config], and tells a
// [Notifier] what becomes of each message.
//
// # The life of a message
//
//	Accept ──► saving ──Saved──► ready ──► sending ──Stored──► forgetting ──Forgotten──► gone
//	                               ▲ ▲        │  │
//	             Load              │ └─Retry──┘  └─Doubtful─┐
//	               │               │                        ▼
//	               └──────────► (in doubt) ──► looking up ──Stored──► forgetting
//	                               ▲                │
//	                               └──Absent, Retry─┘
//
// A message is sent only after it was saved, so that a crash cannot lose what was
// promised. One that may have reached the server is in doubt and is looked up
// before it is inserted again: a failed write can have been stored, and so can
// everything an earlier process has left behind.
//
// A look-up that finds nothing proves something only if the row had time to
// become visible: replicas lag, and a request whose connection broke may still be
// under way. So the message is looked for at once, which settles most cases, and
// is inserted again only when a look-up made Settle after the failure finds
// nothing, either.
//
// # Order
//
// Messages of one conversation are sent one after another in the order of their
// acceptance, and the first one holds back the others until it is stored or
// refused. Conversations do not wait for each other.
//
// # What is stored
//
// Under Config.Key is the registry, a list of segments. A segment is a row of
// slots, and slot n of segment s is the key Key/s/n with one message. A process
// that has something to send holds one claim (see package claim) under
// Key/owners/o, and o owns the segments that it fills or has taken over. Whoever
// can take the claim of an owner may make that owner's segments its own. With
// nothing to send a process gives its claim and its segments up, so an idle outbox
// stores nothing, and nothing of it runs.
//
// A process that finds segments of an owner who may be dead, but whose claim has
// not run out, sends nothing in the conversations of these messages until that is known:
// they come first. What it has taken over from older segments it sends. So processes that
// do not live long get on, too.
//
// Whoever waits for a claim to run out waits for Settle more, and no request outlives the
// claim, so one look-up settles whether a message from there was stored. Right before
// each insert a process looks at its own claim, since its clock may have stood still
// while it was suspended. Only a request that has left already gets around that.
//
// # Proof
//
// The model test lets the process die at every step that touches disk or server.
// The storm in package chat sends through a network that loses 30 % of the answers
// and 10 % of the requests, on a machine that loses power again and again, and
// counts the rows; when look-ups find nothing it shows duplicates:
//
//	go test ./internal/outbox
//	FLIPLET_CHAT_OUTBOX_SENDS=100000 go test -v -run 'TestOutboxStoresEach|TestWithoutLookUps' .
//
// 100,000 sends through 430 crashes took 42 s of real time, about as much CPU, and
// left 100,000 rows, each once and in order.
package outbox

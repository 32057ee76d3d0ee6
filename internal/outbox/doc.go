// Package outbox decides when a message that must not be lost is sent, looked up,
// tried again or given back.
//
// It is a pure state machine. Inputs are method calls ([Queue.Accept],
// [Queue.Saved], [Queue.Load], [Queue.Stored], [Queue.Doubtful], [Queue.Retry],
// [Queue.Absent], …) that carry the current time; the output is the [Action] of
// [Queue.Next]. There is no clock, no goroutine, no lock and no I/O in here, so
// production, tests and models run the same code. A Queue is not safe for
// concurrent use: its owner serialises the calls.
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
// # Proof
//
// The model test lets the process die at every step that touches disk or server.
// The storm in package chat sends through a network that loses 30 % of the answers
// and 10 % of the requests, on a machine that loses power again and again, and
// counts the rows; switched to Blind it shows duplicates:
//
//	go test ./internal/outbox
//	FLIPLET_CHAT_OUTBOX_SENDS=100000 go test -v -run 'TestOutboxStoresEach|TestWithoutLookUps' .
//
// 100,000 sends through 430 crashes took 42 s of real time, about as much CPU, and
// left 100,000 rows, each once and in order.
package outbox

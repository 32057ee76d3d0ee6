// Package receive drives the engine of package feed with a real clock and a source
// of rows, and delivers the engine's events to listeners.
//
// A [Receiver] polls while it has listeners. Between polls it has a timer and no
// goroutine. A listener is a [Reader], which asks for events and serves loops, or a
// [Pusher], whose handler is called from a goroutine of its own while there are events. A
// [Consumer] is a reader with a stored position.
//
// Only [Receiver.Wait] waits for a listener's function, and [Receiver.Poll] for a
// second at most.
package receive

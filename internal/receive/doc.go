// Package receive drives the engine of package feed with a real clock and a source
// of rows, and hands what the engine finds to listeners.
//
// A [Receiver] asks for as long as somebody listens: one goroutine, however many
// listeners there are. A listener reads ([Reader], for loops and for durable
// consumers) or is called ([Pusher], a goroutine while there is something to
// deliver). [Consume] is a reader whose position is stored.
//
// Nothing here waits for a listener's function, except [Receiver.Wait] and, for a
// second at most, [Receiver.Poll].
package receive

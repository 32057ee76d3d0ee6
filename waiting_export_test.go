package chat

import "time"

// ShortPauses shortens the pauses that wait for other clients, until restore is
// called. It is for examples, which have a server to themselves, run one after
// another, and cannot run on virtual time.
func ShortPauses() (restore func()) {
	usual := shortestPause
	shortestPause = time.Millisecond
	return func() { shortestPause = usual }
}

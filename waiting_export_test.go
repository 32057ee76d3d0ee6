package chat

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/roster"
)

// ShortPauses shortens the pauses that wait for other clients, until restore is
// called. It is for examples, which have a server to themselves, run one after
// another, and cannot run on virtual time.
func ShortPauses() (restore func()) {
	usual := roster.ShortestPause
	roster.ShortestPause = time.Millisecond
	return func() { roster.ShortestPause = usual }
}

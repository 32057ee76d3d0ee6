package receive

import "github.com/fliplet/fliplet-chat-go/internal/feed"

// mostHanded bounds what is remembered of events that were handed over and are not done
// with. It is more than are, unless a server has them changed while they fail.
const mostHanded = 10_000

// handed counts how often an event was handed over that is not done with. What a lane knows
// of its events is how often they failed: when a batch is undone because of one of them the
// others have not, and what is set aside is read again.
type handed map[version]int

// version is one version of a message, or a gap.
type version struct {
	conversation, row    int64
	updated              feed.Time
	hash                 uint64
	update, deleted, gap bool
	replay               bool
}

func versionOf(e *feed.Event) version {
	if e.Gap != nil {
		return version{conversation: e.Gap.Conversation, row: e.Gap.Row, gap: true}
	}
	return version{
		conversation: e.Row.Conversation, row: e.Row.ID, updated: e.Row.Updated, hash: e.Row.Hash,
		update: e.Update, deleted: e.Deleted, replay: e.Replay,
	}
}

// handOver notes that an event is handed over, and returns which time this is, from 1. Without
// hooks nobody asks.
func (c *Consumer) handOver(e *feed.Event) int {
	if c.Receiver.watch == nil {
		return 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handed == nil || len(c.handed) > mostHanded {
		c.handed = handed{}
	}
	v := versionOf(e)
	c.handed[v]++
	return c.handed[v]
}

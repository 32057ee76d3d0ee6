package rows

import (
	"time"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Joined is a join by a call of the user: when it was by the server's clock, and when the
// call was made and answered by ours. The zero value is none.
type Joined struct{ At, Asked, Answered time.Time }

// ListEntry is the entry of a conversation in the list for the engine.
func ListEntry(ds datasource.DataSource, j Joined) feed.Member {
	return feed.Member{
		Conversation: ds.ID, Created: Micros(ds.CreatedAt), Changed: Micros(ds.UpdatedAt),
		Joined: Micros(j.At), Asked: j.Asked, Answered: j.Answered,
	}
}
